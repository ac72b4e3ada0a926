"""Word lists for invented people, places and teams; ours, and plausible for an international company."""

from __future__ import annotations

import unicodedata

_GIVEN_NAMES = """
Aaliyah Abigail Adaeze Adrian Agnieszka Ahmed Aiko Aino Alejandro Aleksandra Alessandra Alexander Alicia Amara
Amélie Amina Anders Andrea Aneta Anika Anna Antoine Anton Arash Arjun Arne Asha Astrid Aurora Ayumi Beata Beatriz
Benedikt Bianca Björn Bogdan Brigitte Bruno Camila Carlos Carmen Catarina Cécile Chanel Charlotte Chen Chiara
Chidi Chloé Christine Ciarán Clara Claudia Connor Dagmar Daiki Dalia Damian Daniela Daria Deepa Diego Dimitra
Dmitri Dorota Edgar Eduardo Ekaterina Elena Elias Elif Elżbieta Emeka Emilia Emma Enrique Erik Esther Eva Fatima
Felix Fernanda Filip Finn Florian Franziska Frederik Gabriela Georgios Gianluca Giulia Grace Gustavo Hana Hannah
Haruto Hassan Heidi Helena Henrik Hiroshi Hugo Ibrahim Ignacio Ilse Imani Ines Ingrid Irina Isabel Ivan Jakub
James Jana Jasmin Javier Jelena Jens Jin João Johan Jonas José Joanna Julia Jun Kaito Kamila Karin Katarzyna Kavya
Kenji Khadija Kofi Kristina Kwame Lakshmi Lars Laura Leila Lena Léonie Liam Lidia Linnea Lorenzo Luca Lucía Ludwig
Maja Malik Marek Mariam Marcel Margarida Mario Markus Marta Mateo Matilda Maya Mei Mehmet Mercy Michał Miguel Mika
Milan Mina Mohammed Monika Nadia Naoko Natasha Nathan Nia Nicolas Niamh Nikhil Nina Noor Olaf Oliver Olivia Omar
Oskar Paolo Patricia Pavel Pedro Petra Philippa Pierre Piotr Priya Rafael Rahul Raluca Ravi Renata Ricardo Rosa
Ruth Ryo Sabine Saga Sakura Samir Sandra Sanjay Sara Sebastian Selin Shreya Silvia Simone Sofía Soren Stefan Sunita
Tadeusz Takumi Tamar Tariq Tatiana Tendai Teresa Thandiwe Theo Thomas Tomasz Umar Ursula Valentina Vera Viktor
Vincent Wanjiru Wei Xavier Yara Yasmin Yuki Yusuf Zainab Zofia Zuzana
"""
GIVEN_NAMES = _GIVEN_NAMES.split()

_SURNAMES = """
Abbott Abdullah Achterberg Adebayo Aguilar Ahmadi Almeida Alvarez Amundsen Andersson Antonov Arslan Asante Bailey
Bakker Banerjee Baptiste Barros Bauer Becker Bellini Bergström Bianchi Björklund Blanchard Boateng Bogdanov
Borowski Brennan Brandt Bruun Çelik Cardoso Carter Castillo Chakraborty Chandra Chevalier Choi Christensen Cohen
Colombo Conti Cooper Costa Cruz Dąbrowski Dahl Danjuma Das Delgado Demir Desai Dias Diaz Dietrich Dimitriou Dubois
Duarte Eklund Engel Eriksen Espinoza Evans Fabre Farouk Fernandes Ferrari Fischer Fitzgerald Fleming Flores Fontaine
Forsberg Fournier Fuchs Fujita Gallo García Gauthier Georgiou Ghosh Gomes González Grabowski Graf Gray Grünwald
Gupta Haddad Hakimi Halvorsen Hamdan Hansen Harris Hashimoto Hayes Hernández Hoffmann Holm Horvat Hughes Hussain
Ibarra Iglesias Ito Ivanova Iyer Jankowski Jansen Jiménez Johansson Jovanović Joshi Kaczmarek Kamau Kapoor Karlsson
Kato Kaur Keller Kelly Khalil Khan Kimura Klein Kobayashi Koch König Konstantinou Kowalski Kozłowski Krüger Kumar
Kuznetsov Lambert Larsen Laurent Lefebvre Lehmann Lewandowski Li Lindqvist Lombardi López Lund Machado Maier Malik
Mancini Marino Markovic Martínez Matsumoto Mbeki Medina Mehta Mendes Mensah Meyer Mishra Mitchell Molina Moreau
Moretti Mori Mukherjee Müller Murphy Mwangi Nagy Nakamura Navarro Nguyen Nielsen Nilsson Novák Nowak Ochieng Odhiambo
Ogunleye Okafor Okeke Olsen Onyango Ortega Østergaard Owusu Papadopoulos Park Patel Pereira Petersen Petrov Pham
Pietrzak Popescu Prakash Quinn Rahman Ramírez Rao Rasmussen Reyes Ricci Richter Rivera Rodrigues Romano Rossi Roux
Ruiz Saito Salazar Sandberg Santos Sato Schäfer Schneider Schulz Schwarz Sharma Shevchenko Silva Singh Smirnov
Sørensen Sousa Stankiewicz Steiner Stewart Suzuki Svensson Szabó Takahashi Tan Tanaka Thapa Thomsen Torres Traoré
Tremblay Ueda Ünal Vargas Vasquez Verma Vieira Virtanen Vogel Wagner Walker Wang Watanabe Weber Weiss Wójcik Wolf
Wu Yamamoto Yang Y\u0131ld\u0131z Yilmazer Young Zając Zhang Zhou Ziegler Zimmermann
"""
SURNAMES = _SURNAMES.split()

DEPARTMENTS = (
    "Sales",
    "Customer Service",
    "Finance",
    "Logistics",
    "Production",
    "Human Resources",
    "Information Technology",
    "Marketing",
    "Purchasing",
    "Quality",
    "Legal",
    "Research",
    "Facilities",
    "Field Service",
)

JOB_TITLES = (
    "Account Manager",
    "Administrator",
    "Analyst",
    "Area Manager",
    "Assistant",
    "Buyer",
    "Clerk",
    "Consultant",
    "Controller",
    "Coordinator",
    "Designer",
    "Director",
    "Engineer",
    "Foreman",
    "Head of Department",
    "Inspector",
    "Planner",
    "Project Manager",
    "Receptionist",
    "Service Technician",
    "Shift Leader",
    "Specialist",
    "Team Lead",
    "Warehouse Operator",
)

# City, ISO country code, country, telephone prefix of the city, language, digits after the prefix.
CITIES: tuple[tuple[str, str, str, str, str, int], ...] = (
    ("Warsaw", "PL", "Poland", "+48 22", "pl-PL", 7),
    ("Wrocław", "PL", "Poland", "+48 71", "pl-PL", 7),
    ("Berlin", "DE", "Germany", "+49 30", "de-DE", 7),
    ("Hamburg", "DE", "Germany", "+49 40", "de-DE", 7),
    ("Vienna", "AT", "Austria", "+43 1", "de-AT", 7),
    ("Zürich", "CH", "Switzerland", "+41 44", "de-CH", 7),
    ("Paris", "FR", "France", "+33 1", "fr-FR", 8),
    ("Lyon", "FR", "France", "+33 4", "fr-FR", 8),
    ("Madrid", "ES", "Spain", "+34 91", "es-ES", 7),
    ("Lisbon", "PT", "Portugal", "+351 21", "pt-PT", 7),
    ("Milan", "IT", "Italy", "+39 02", "it-IT", 7),
    ("London", "GB", "United Kingdom", "+44 20", "en-GB", 8),
    ("Manchester", "GB", "United Kingdom", "+44 161", "en-GB", 7),
    ("Dublin", "IE", "Ireland", "+353 1", "en-IE", 7),
    ("Copenhagen", "DK", "Denmark", "+45 33", "da-DK", 6),
    ("Stockholm", "SE", "Sweden", "+46 8", "sv-SE", 8),
    ("Oslo", "NO", "Norway", "+47 22", "nb-NO", 6),
    ("Helsinki", "FI", "Finland", "+358 9", "fi-FI", 7),
    ("Prague", "CZ", "Czechia", "+420 2", "cs-CZ", 8),
    ("Athens", "GR", "Greece", "+30 210", "el-GR", 7),
    ("Chicago", "US", "United States", "+1 312", "en-US", 7),
    ("Austin", "US", "United States", "+1 512", "en-US", 7),
    ("Toronto", "CA", "Canada", "+1 416", "en-CA", 7),
    ("São Paulo", "BR", "Brazil", "+55 11", "pt-BR", 8),
    ("Singapore", "SG", "Singapore", "+65 6", "en-SG", 7),
    ("Sydney", "AU", "Australia", "+61 2", "en-AU", 8),
    ("Nairobi", "KE", "Kenya", "+254 20", "en-KE", 7),
    ("Lagos", "NG", "Nigeria", "+234 1", "en-NG", 7),
    ("Pune", "IN", "India", "+91 20", "en-IN", 8),
    ("Osaka", "JP", "Japan", "+81 6", "ja-JP", 8),
)

OFFICES = (
    "Head Office",
    "Plant 1",
    "Plant 2",
    "Warehouse",
    "Harbour House",
    "North Campus",
    "Floor 3",
    "Floor 7",
)

TEAM_WORDS = (
    "Atlas",
    "Beacon",
    "Cedar",
    "Delta",
    "Ember",
    "Falcon",
    "Granite",
    "Heron",
    "Indigo",
    "Juniper",
    "Kestrel",
    "Lantern",
    "Meridian",
    "Nimbus",
    "Orchid",
    "Pioneer",
    "Quartz",
    "Riverside",
    "Sable",
    "Tundra",
    "Umbra",
    "Vela",
    "Willow",
    "Yarrow",
    "Zephyr",
)

# Letters that Unicode does not decompose into a base letter and a mark.
_PLAIN = str.maketrans(
    {
        "ł": "l",
        "Ł": "L",
        "ø": "o",
        "Ø": "O",
        "\u0131": "i",
        "ß": "ss",
        "æ": "ae",
        "đ": "d",
        "ð": "d",
        "þ": "th",
    }
)


def plain(word: str) -> str:
    """The word in lower-case ASCII letters, as directories spell it in addresses."""
    decomposed = unicodedata.normalize("NFKD", word.translate(_PLAIN))
    return "".join(letter for letter in decomposed if letter.isascii() and letter.isalnum()).lower()
