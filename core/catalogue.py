"""Every way in which something can go wrong here, once, with words for people.

A message says what happened and to which thing; an advice says what to do and who can. Neither uses the
vocabulary of protocols: that belongs into the error's detail, which only operators see. `{fields}` are filled
by whoever raises; a missing one falls back to the noun in `core.kinds.NOUNS`.

The sign-in rows follow facts/microsoft.md 4, the directory rows 5.1 and 5.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from core.kinds import ErrorKind, Remedy, Scope, Who

_LATER, _FIX, _NEVER = Remedy.LATER, Remedy.AFTER_FIX, Remedy.NEVER
_CUSTOMER, _PROVIDER, _MICROSOFT, _PORTAL = Who.CUSTOMER_ADMIN, Who.PROVIDER, Who.MICROSOFT, Who.PORTAL

_Row = tuple[str, int, Remedy, Who, Scope, str, str]

# The tables are read row by row; one value a line would bury them.
# fmt: off
_APP: tuple[_Row, ...] = (
    ("secret_expired", 422, _FIX, _CUSTOMER, "connection",
     "The client secret of {app} has expired, so Microsoft no longer lets the portal in.",
     ("The customer's administrator creates a new client secret in the Microsoft Entra admin centre, under App "
      "registrations, Certificates & secrets; then somebody enters its Value on the customer's connection "
      "page.")),
    ("secret_wrong", 422, _FIX, _PROVIDER, "connection",
     "Microsoft did not accept the client secret of {app}.",
     ("Enter the secret's Value, not its Secret ID, with no blanks around it. If it was created a minute "
      "ago, wait two minutes and check again. If it is lost, the customer's administrator creates a new "
      "one.")),
    ("secret_required", 422, _FIX, _PROVIDER, "connection",
     "Microsoft expects a client secret or a certificate from {app}, and none was sent.",
     ("Enter a client secret or a certificate on the customer's connection page. If there is one already, "
      "check that the Client Id belongs to the same app registration.")),
    ("secret_not_wanted", 422, _FIX, _PROVIDER, "connection",
     "The portal sent a client secret for {app}, but this app registration is set up to work without one.",
     ('The owner of the app registration switches off "Allow public client flows" in the Microsoft Entra admin '
      "centre, under Authentication; then check again.")),
    ("app_not_found", 422, _FIX, _PROVIDER, "connection",
     "Microsoft does not know {app} in {tenant}.",
     ("Compare Client Id and Azure Tenant Id with the overview page of the app registration. If both are "
      "right, the customer's administrator gives consent, which adds the app to the organisation: the consent "
      "link is on the connection page.")),
    ("app_not_installed", 422, _FIX, _CUSTOMER, "connection",
     "Nobody has added {app} to {tenant} yet, so Microsoft does not let it sign in there.",
     ("The customer's administrator opens the consent link of the connection page and accepts, which adds it. "
      "Right after the registration, wait five minutes.")),
    ("app_disabled", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft reports that {app} is switched off for sign-in.",
     ("The customer's administrator enables it again in the Microsoft Entra admin centre, under Enterprise "
      "applications. If it is greyed out there, Microsoft has blocked it and their support can say why.")),
    ("service_disabled", 422, _FIX, _CUSTOMER, "connection",
     "A Microsoft service that {app} needs is switched off in {tenant}.",
     ("The customer's administrator switches that service on again in the Microsoft Entra admin centre, under "
      "Enterprise applications, or buys a licence for it.")),
    ("service_missing", 422, _FIX, _CUSTOMER, "connection",
     "A Microsoft service that {app} needs does not exist in {tenant}.",
     ("The customer's administrator opens the consent link of the connection page and accepts, which adds the "
      "service. Also check that the right Microsoft cloud is chosen there.")),
    ("certificate_refused", 422, _FIX, _PROVIDER, "connection",
     "Microsoft did not accept the certificate of {app}.",
     ("Check that this very certificate is uploaded to the app registration, under Certificates & secrets, and "
      "has not expired, and that the clock of this server is right. Right after an upload, wait five minutes "
      "and check again.")),
    ("certificate_unreadable", 422, _FIX, _PROVIDER, "connection",
     "The certificate or private key of {app} cannot be read: {why}.",
     ("Enter certificate and private key as text in PEM form (it begins with -----BEGIN), without a "
      "passphrase, and make sure that they belong together.")),
    ("app_single_tenant", 422, _FIX, _PROVIDER, "connection",
     "Only people and apps of its own organisation may use {app}, and the customer's is another one.",
     ("Compare the Azure Tenant Id on the customer's page. If it is the provider's app registration, its owner "
      "opens it to accounts in any organizational directory, under Authentication, Supported account types.")),
    ("redirect_unknown", 422, _FIX, _PROVIDER, "connection",
     "Microsoft refused to come back to this portal, because its address is not listed in {app}.",
     ("The owner of the app registration adds the portal's address to its redirect URIs, letter by letter; the "
      "guide on the customer's page App registration shows it, with a button to copy it.")),
    ("request_malformed", 502, _NEVER, _PORTAL, "connection",
     "Microsoft did not understand the portal's sign-in request for {app}.",
     "This is a fault of the portal. Pass the technical detail to whoever runs it."),
    ("token_loop", 503, _LATER, _PORTAL, "connection",
     "Microsoft stopped {app} for a while, because it asked for access too many times in a row.",
     "The portal waits and tries again by itself. If it comes back, tell whoever runs the portal."),
    ("registration_not_ours", 422, _FIX, _CUSTOMER, "target",
     "The portal may not change {app} at Microsoft. Missing: {permission}.",
     ("The customer's administrator grants it and makes the app an owner of its own registration; the guide on "
      "the page App registration shows how. Or somebody creates a new credential by hand and enters it on the "
      "connection page.")),
    ("provider_app_not_ours", 422, _FIX, _PROVIDER, "target",
     "The portal may not change the provider's own app registration at Microsoft. Missing: {permission}.",
     ("In your own organisation, grant it and make the app an owner of its own registration. Or create a new client "
      "secret there by hand under Certificates & secrets, enter it on Authentication Status, and remove the old one "
      "once a check has succeeded.")),
    ("helper_not_removable", 422, _FIX, _CUSTOMER, "target",
     "The portal may not take the provider's app out of the organisation of {tenant}. Missing: {permission}.",
     ("The customer's administrator removes it: in Microsoft Entra, under Enterprise applications, the provider's "
      "app, Properties, Delete. Or grants the permission to the customer's own app; then press Retry.")),
    ("secret_life_refused", 422, _FIX, _CUSTOMER, "target",
     "The rules of {tenant} for app registrations do not allow a client secret or certificate to live that long.",
     ("The portal asks for shorter lives by itself. Where even the shortest is refused, use a certificate, or the "
      "customer's administrator exempts {app} from the rule.")),
    ("secret_type_refused", 422, _FIX, _CUSTOMER, "target",
     "The rules of {tenant} for app registrations do not allow client secrets at all.",
     ("Use a certificate: upload it to {app} and enter it with its key on the connection page. Or the customer's "
      "administrator exempts {app} from the rule.")),
    ("secret_not_in_force", 422, _FIX, _MICROSOFT, "target",
     "Microsoft did not put the new {thing} of {app} into force in time, so it was taken away again.",
     "Nothing has changed: the one before is still in use. Try again later."),
    ("provider_app_refused", 503, _LATER, _PROVIDER, "service",
     "Microsoft does not let the provider's own app registration in: {why}.",
     ("A provider administrator enters a valid client secret or certificate on Authentication Status. The "
      "customers need not do anything: their work waits, and goes on by itself.")),
    ("service_account_failed", 422, _FIX, _CUSTOMER, "target",
     "The sign-in by which resource accounts are created cannot be used: {why}.",
     ("Whoever looks after this customer gives this one work another way in. Everything else of this customer, "
      "calls included, goes on without it.")),
    ("resource_account_needs_person", 422, _FIX, _CUSTOMER, "target",
     "Microsoft lets no app create the resource account {thing}, only an administrator who is signed in.",
     ("Either connect this customer by an administrator's sign-in (Connection, Sign in), or have its administrator "
      "run the ready script of the design, or create this account in the Teams admin center; then press Retry. The "
      "portal goes on with the account that it finds. Calls and everything else of this customer are not concerned.")),
    ("resource_account_blocked", 409, _FIX, _PROVIDER, "target",
     "{thing} cannot be built before somebody has decided: {why}.",
     "Do what the reason says, and press Retry; or change the design."),
    ("resource_plan_changed", 409, _NEVER, _PROVIDER, "target",
     "What Microsoft Teams has of {thing} is no longer what the plan was made from, so nothing was done.",
     "Open the design, look at the plan again, and build anew."),
    ("resource_account_propagating", 503, _LATER, _MICROSOFT, "target",
     "Microsoft 365 does not know the new account {thing} everywhere yet.",
     "Nobody need do anything: the portal tries again by itself."),
    ("migration_rolled_back", 422, _FIX, _PROVIDER, "target",
     "The new app registration did not work: {why} So the portal went back to the old way in.",
     "Nothing is lost. Mend what the registration page says about the new one, and migrate again."),
    ("signin_refused", 422, _FIX, _PROVIDER, "connection",
     "Microsoft refused the sign-in of {app} for a reason that the portal does not know.",
     ("The technical detail holds Microsoft's own code and words: look them up, or give them to Microsoft's "
      "support.")),
)

_TENANT: tuple[_Row, ...] = (
    ("consent_missing", 422, _FIX, _CUSTOMER, "connection",
     "No administrator of {tenant} has agreed yet to what {app} needs.",
     "The customer's administrator does so: by the consent link of the connection page, or under Grant Access."),
    ("consent_declined", 422, _FIX, _CUSTOMER, "connection",
     "Whoever was asked at Microsoft to agree to {app} declined.",
     ("Explain to the customer's administrator what each permission is for, and ask again: by the consent link "
      "of the connection page, or under Grant Access.")),
    ("consent_needs_admin", 422, _FIX, _CUSTOMER, "connection",
     "Only an administrator of {tenant} may consent to {app}: that is, agree for the organisation.",
     ("A Global Administrator or Privileged Role Administrator of the customer opens the consent link of the "
      "connection page, or signs in under Grant Access.")),
    ("app_misconfigured", 422, _FIX, _PROVIDER, "connection",
     "The portal asks for a permission that is not listed in {app}.",
     ("The owner of the app registration adds the missing permission under API permissions (the guide on the "
      "page App registration lists them all); then the customer's administrator consents again.")),
    ("service_not_subscribed", 422, _FIX, _CUSTOMER, "connection",
     "A Microsoft service that {app} needs is not part of the subscription of {tenant}.",
     "The customer's administrator checks the subscriptions and licences in the Microsoft 365 admin centre."),
    ("tenant_unknown", 422, _FIX, _PROVIDER, "connection",
     "Microsoft knows no organisation under {tenant}.",
     ("Compare the customer's Azure Tenant Id or domain with the overview page in the Microsoft Entra admin "
      "centre, and check that the right Microsoft cloud is chosen on the connection page.")),
    ("tenant_not_given", 422, _FIX, _PROVIDER, "connection",
     "The customer has no Azure Tenant Id, so Microsoft cannot tell which organisation is meant.",
     "Enter the Azure Tenant Id on the customer's page, under Edit."),
    ("tenant_blocked", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft has blocked or deleted {tenant}.",
     ("The customer's administrator asks Microsoft's support. If the customer has left, remove it from "
      "the portal.")),
    ("wrong_cloud", 422, _FIX, _PROVIDER, "connection",
     "The organisation {tenant} belongs to {cloud}, not to the one chosen here.",
     ("Choose the right Microsoft cloud on the connection page. Each cloud needs an app registration of "
      "its own.")),
    ("wrong_tenant", 422, _FIX, _PROVIDER, "connection",
     "Microsoft answered for another organisation than {tenant}.",
     ("Nothing was read or changed. Compare the Azure Tenant Id on the customer's page; whoever gives consent "
      "must sign in with an account of this customer.")),
    ("account_foreign", 422, _FIX, _CUSTOMER, "connection",
     "Somebody signed in with {account}, which does not belong to {tenant}.",
     "Sign in again with an account of the customer's own organisation."),
    ("account_personal", 422, _FIX, _CUSTOMER, "connection",
     "Somebody signed in with a personal Microsoft account, which belongs to no organisation.",
     ("Sign in again with a work account of {tenant}; choose \"Use another account\" where Microsoft offers the "
      "wrong one.")),
    ("account_not_assigned", 422, _FIX, _CUSTOMER, "connection",
     "In {tenant}, {app} may only be used by people who were assigned to it, and {account} was not.",
     "The customer's administrator assigns the account under Enterprise applications, Users and groups."),
)

_PERSON: tuple[_Row, ...] = (
    ("password_wrong", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft did not accept the user name or password of {account}.",
     ("Whoever owns the account enters the password again under Switch to password, or signs in under Grant "
      "Access. The portal does not retry, so that it is not locked.")),
    ("account_unknown", 422, _FIX, _PROVIDER, "connection",
     "Microsoft does not know {account} in {tenant}.",
     ("Check the spelling of the user name, and that it belongs to this customer; then somebody signs in under "
      "Grant Access.")),
    ("account_locked", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft has locked {account} for a while after too many failed sign-ins.",
     "Wait at least fifteen minutes, or let the customer's administrator unlock it; then sign in again."),
    ("password_expired", 422, _FIX, _CUSTOMER, "connection",
     "The password of {account} has expired.",
     "Whoever owns the account sets a new password at Microsoft, and signs in under Grant Access."),
    ("password_missing", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft keeps no password for {account}, so a user name and password cannot work.",
     ("Use Grant Access on the connection page instead: whoever owns the account signs in at Microsoft, and "
      "the portal needs no password.")),
    ("account_disabled", 422, _FIX, _CUSTOMER, "connection",
     "In {tenant}, {account} is disabled.",
     ("The customer's administrator enables the account, or somebody signs in with another one under Grant "
      "Access.")),
    ("mfa_required", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft wants {account} to confirm the sign-in with a second factor.",
     ("Whoever owns the account signs in under Grant Access, and confirms there. A password alone is not "
      "enough for this account any more.")),
    ("mfa_not_set_up", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft wants {account} to set up a second factor first.",
     "Whoever owns the account opens https://aka.ms/mfasetup, sets it up, and then signs in under Grant Access."),
    ("signin_too_old", 422, _FIX, _CUSTOMER, "connection",
     "The last sign-in of {account} is older than the customer's rules allow.",
     "Whoever owns the account signs in again under Grant Access."),
    ("external_check_required", 422, _FIX, _CUSTOMER, "connection",
     "The customer's own security provider wants to check {account} before Microsoft lets it in.",
     "Whoever owns the account signs in again under Grant Access, where that check can be answered."),
    ("device_not_accepted", 422, _FIX, _CUSTOMER, "connection",
     "The customer's rules let {account} sign in only from devices that the organisation manages.",
     ("Sign in from such a device under Grant Access, or let the customer's administrator make an exception "
      "for {app}.")),
    ("conditional_access", 422, _FIX, _CUSTOMER, "connection",
     "A security rule of {tenant}, which Microsoft calls Conditional Access, keeps {app} out.",
     ("The customer's administrator finds the blocked sign-in in the Microsoft Entra admin centre, under "
      "Sign-in logs, which name the rule, and makes an exception for this app or account.")),
    ("security_policy", 422, _FIX, _CUSTOMER, "connection",
     "The security settings of {tenant} block this sign-in as risky.",
     ("The customer's administrator looks at the blocked sign-in in the Microsoft Entra admin centre, under "
      "Risky sign-ins, and clears the risk or makes an exception; then check again.")),
    ("partner_blocked", 422, _FIX, _PROVIDER, "connection",
     "Microsoft blocked the provider's own account because of a risk seen in the provider's organisation.",
     ("The provider's security administrator clears the risk in the provider's own Microsoft Entra admin "
      "centre.")),
    ("signin_revoked", 422, _FIX, _CUSTOMER, "connection",
     ("The stored sign-in of {account} was ended at Microsoft, because the password was changed or the account "
      "was signed out everywhere."),
     "Whoever owns the account signs in again under Grant Access."),
    ("signin_unused", 422, _FIX, _CUSTOMER, "connection",
     "The stored sign-in of {account} ended, because it was not used for 90 days.",
     "Whoever owns the account signs in again under Grant Access."),
    ("signin_expired", 422, _FIX, _CUSTOMER, "connection",
     "The stored sign-in of {account} has ended or was withdrawn.",
     "Whoever owns the account signs in again under Grant Access."),
    ("signin_short_lived", 422, _FIX, _PROVIDER, "connection",
     "The sign-in ended after 24 hours, because {app} lists this portal as a single-page application.",
     ("The owner of the app registration moves the portal's address from \"Single-page application\" to \"Web\", "
      "under Authentication; then somebody signs in again under Grant Access.")),
    ("signin_restart", 409, _FIX, _CUSTOMER, "connection",
     "This sign-in was already used, took too long, or was finished elsewhere.",
     "Begin again under Grant Access."),
    ("signin_foreign", 409, _FIX, _CUSTOMER, "none",
     "This sign-in was begun in another browser or by somebody else, so nothing was taken from it.",
     "Begin again under Grant Access, and finish in the same browser."),
    ("signin_confirm", 409, _FIX, _CUSTOMER, "connection",
     "Microsoft wants the person to confirm the sign-in in the browser.",
     "Begin again under Grant Access, and answer every question that Microsoft asks."),
    ("device_pending", 202, _LATER, _CUSTOMER, "target",
     "Nobody has entered the sign-in code at Microsoft yet.",
     "Open the shown Microsoft page, enter the code and sign in; the portal keeps watching."),
    ("device_too_fast", 202, _LATER, _PORTAL, "target",
     "Microsoft asks the portal to look for the finished sign-in less often.",
     "Nothing to do: the portal slows down by itself."),
    ("device_code_expired", 410, _FIX, _CUSTOMER, "target",
     "The sign-in code was not used within fifteen minutes and has expired.",
     "Start again to get a new code."),
    ("device_code_wrong", 422, _FIX, _CUSTOMER, "target",
     "Microsoft does not know this sign-in code.",
     "Start again to get a new code, and enter it exactly as shown."),
    ("device_code_used", 409, _FIX, _CUSTOMER, "target",
     "This sign-in code was already used or declined.",
     "Start again to get a new code."),
    ("device_declined", 422, _FIX, _CUSTOMER, "target",
     "The person declined the sign-in at Microsoft.",
     "Start again if that was a mistake."),
    ("customer_signin_down", 503, _LATER, _CUSTOMER, "connection",
     "The customer's own sign-in servers did not answer Microsoft.",
     ("The portal tries again by itself. If it lasts, the customer's administrator checks the servers that "
      "check passwords for Microsoft (AD FS, or the agents of pass-through authentication).")),
)

_GRAPH: tuple[_Row, ...] = (
    ("microsoft_busy", 503, _LATER, _MICROSOFT, "service",
     "Microsoft's sign-in service has trouble at the moment.",
     "The portal tries again by itself. If it lasts, look at Microsoft's service health page."),
    ("throttled", 429, _LATER, _MICROSOFT, "connection",
     "Microsoft asked the portal to slow down for {tenant}.",
     "Nothing to do: the portal waits as long as Microsoft asks and then goes on."),
    ("graph_unavailable", 503, _LATER, _MICROSOFT, "service",
     "Microsoft 365 has trouble answering at the moment.",
     "The portal tries again by itself. If it lasts, look at Microsoft's service health page."),
    ("graph_unauthorized", 502, _FIX, _PROVIDER, "connection",
     "Microsoft 365 did not accept the access that was just granted to {app}.",
     "Check the credentials on the connection page. If they are accepted, wait ten minutes and try again."),
    ("permission_missing", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft does not let {app} do its work. Missing: {permission}.",
     ("The customer's administrator gives it: by the consent link of the connection page, or under Grant "
      "Access. Afterwards Microsoft can take some minutes until it applies everywhere.")),
    ("role_missing", 422, _FIX, _CUSTOMER, "target",
     "In {tenant}, a directory role that voice work needs is not there: {role}.",
     ("The customer's administrator adds it in the Microsoft Entra admin centre, under Roles and "
      "administrators; then check again.")),
    ("consent_propagating", 503, _LATER, _MICROSOFT, "target",
     "Microsoft let the portal in, but has not put this in force yet: {permission}.",
     ("Nothing to do for some minutes: Microsoft puts a new consent into force slowly, and the portal looks "
      "again by itself. If it stays like this, the customer's administrator presses Grant admin consent at the "
      "app registration.")),
    ("graph_refused", 422, _NEVER, _PORTAL, "target",
     "Microsoft 365 refused the request for {thing} as not valid.",
     "Pass the technical detail to whoever runs the portal; repeating will not help."),
    ("graph_unsupported", 422, _NEVER, _PORTAL, "target",
     "Microsoft 365 does not offer what the portal asked about {thing}.",
     "Pass the technical detail to whoever runs the portal; repeating will not help."),
    ("remote_not_found", 404, _FIX, _CUSTOMER, "target",
     ("Microsoft 365 does not have {thing}: it was deleted, or was created so recently that it is not "
      "visible yet."),
     ("Replicate the customer again. If it was deleted by mistake, the customer's administrator can "
      "restore it for 30 days.")),
    ("remote_conflict", 409, _FIX, _CUSTOMER, "target",
     "In Microsoft 365 something else already uses the values wanted for {thing}.",
     "The customer's administrator finds and renames or removes the other one; then repeat."),
    ("remote_changed", 412, _LATER, _PORTAL, "target",
     "Somebody changed {thing} in Microsoft 365 at the same moment.",
     "The portal reads it again and repeats by itself."),
    ("remote_locked", 423, _LATER, _MICROSOFT, "target",
     "Microsoft 365 is busy with {thing} and has locked it.",
     "The portal tries again by itself."),
    ("dependency_failed", 424, _LATER, _PORTAL, "target",
     "An earlier step of the same request failed, so Microsoft 365 did not try {thing}.",
     "See the earlier step; the portal repeats both."),
    ("delta_expired", 410, _LATER, _PORTAL, "target",
     "Microsoft 365 no longer knows what the portal has already seen of {tenant}.",
     "Nothing to do: the portal reads everything once more."),
    ("outcome_unknown", 502, _LATER, _PORTAL, "target",
     "The connection broke while {thing} was being changed, so it is not known whether the change arrived.",
     "Nothing to do: the portal looks what is there before it writes again."),
    ("dry_run_write_refused", 409, _NEVER, _PORTAL, "target",
     "A trial run tried to change {thing} and was stopped before anything was sent.",
     "Nothing was changed. This is a fault of the portal: pass the technical detail to whoever runs it."),
)

_LINE: tuple[_Row, ...] = (
    ("unreachable", 502, _LATER, _PROVIDER, "service",
     "The portal cannot reach {host}.",
     ("The portal tries again by itself. If it lasts, check this server's internet access, firewall and "
      "proxy.")),
    ("name_not_resolved", 502, _LATER, _PROVIDER, "service",
     "This server cannot find the address of {host}.",
     "The portal tries again by itself. If it lasts, check this server's name resolution (DNS)."),
    ("tls_failed", 502, _FIX, _PROVIDER, "service",
     "The portal could not make a trusted connection to {host}.",
     ("If a proxy inspects the traffic of this server, add its certificate to the portal's certificate "
      "bundle. Also check the clock of this server.")),
    ("proxy_failed", 502, _LATER, _PROVIDER, "service",
     "The proxy of this server did not let the portal reach {host}.",
     "Check the proxy's address, its sign-in and its rules for this server."),
    ("connection_lost", 502, _LATER, _PROVIDER, "service",
     "The connection to {host} broke before the answer was complete.",
     "The portal tries again by itself. If it lasts, check this server's internet access."),
    ("deadline", 504, _LATER, _MICROSOFT, "service",
     "The answer of {host} took longer than the portal waits.",
     "The portal tries again by itself."),
    ("redirected", 502, _FIX, _PROVIDER, "service",
     "The address of {host} sent the portal elsewhere, and it did not follow.",
     "Check whether a proxy or a login page of the network stands between this server and the internet."),
    ("address_forbidden", 422, _NEVER, _PROVIDER, "target",
     "The name {host} leads to an address to which the portal sends nothing.",
     ("Private networks, this machine and the addresses where clouds keep their keys are closed. Whoever runs the "
      "portal can open a private network by OUTBOUND_ALLOWED_NETWORKS.")),
    ("mail_refused", 502, _LATER, _PORTAL, "target",
     "The mail server did not take the mail.",
     "The portal tries again by itself. If it lasts, whoever runs the portal checks EMAIL_URL and the mail server."),
    ("mail_unreachable", 502, _LATER, _PORTAL, "target",
     "The mail server {host} could not be reached, or broke off.",
     "The portal tries again by itself. If it lasts, whoever runs the portal checks EMAIL_URL and the mail server."),
    ("mail_address", 422, _FIX, _PROVIDER, "target",
     "The mail server refused {thing}.",
     "Correct the address and send it again."),
    ("mail_sign_in", 502, _FIX, _PORTAL, "target",
     "The mail server refused the portal's user name or password.",
     "Whoever runs the portal corrects EMAIL_URL; then send the mail again."),
    ("mail_unprotected", 502, _FIX, _PORTAL, "target",
     "The mail server {host} offers no trusted TLS connection, so nothing was sent there.",
     ("Whoever runs the portal writes smtp+tls:// (STARTTLS) or smtps:// in EMAIL_URL and sees that the server's "
      "certificate is valid. EMAIL_ALLOW_PLAIN opens a relay without TLS.")),
    ("mail_missing", 503, _FIX, _PORTAL, "target",
     "The portal has no mail server, so no mail can be sent.",
     "Whoever runs the portal sets EMAIL_URL; then send the mail again."),
    ("webhook_refused", 502, _LATER, _PROVIDER, "target",
     "{host} did not take the event: it answered {why}.",
     "The portal tries again by itself. If it lasts, ask whoever runs that system."),
    ("bad_reply", 502, _LATER, _MICROSOFT, "service",
     "The answer of {host} cannot be read: {why}.",
     ("The portal tries again by itself. If it lasts, check whether a proxy stands between this server "
      "and the internet, and look at Microsoft's service health page.")),
    ("reply_too_large", 502, _NEVER, _PORTAL, "target",
     "The answer of {host} is larger than the portal accepts ({limit}).",
     "Nothing was taken from it. Pass the technical detail to whoever runs the portal."),
    ("foreign_next_link", 502, _NEVER, _PORTAL, "target",
     "An answer told the portal to read on at an address that does not belong to Microsoft 365.",
     ("Nothing was sent there. Check whether something stands between this server and Microsoft, and "
      "pass the technical detail to whoever runs the portal.")),
    ("endless_pages", 502, _LATER, _MICROSOFT, "target",
     "Microsoft 365 kept sending pages of {thing} without coming to an end.",
     ("What was read so far is kept back. The portal starts again by itself; if it comes back, tell "
      "whoever runs it.")),
    ("interrupted", 503, _LATER, _PORTAL, "none",
     "The work was asked to stop while it was waiting.",
     "Nothing to do: it goes on at the same place when it is started again."),
)

_DNS: tuple[_Row, ...] = (
    ("dns_silent", 502, _LATER, _PROVIDER, "target",
     "The name server {host} does not answer, or cannot just now.",
     ("The portal tries again by itself. If it lasts, whoever runs the name server checks it, and that this "
      "server may reach it on its port by TCP and UDP.")),
    ("dns_bad_reply", 502, _LATER, _PROVIDER, "target",
     "The answer of the name server {host} cannot be trusted: {why}.",
     "The portal tries again by itself. If it lasts, whoever runs the name server checks its TSIG key."),
    ("dns_refused", 422, _FIX, _PROVIDER, "target",
     "The name server {host} refused for {zone}: {why}.",
     ("A provider administrator compares the zone and its name server under System, DNS zone, with the rules "
      "of the name server (allow-update or update-policy).")),
    ("dns_key_refused", 422, _FIX, _PROVIDER, "target",
     "The name server {host} did not accept the key {key}: {why}.",
     "A provider administrator enters name, algorithm and secret of the TSIG key again under System, DNS zone."),
    ("dns_zone_unknown", 502, _LATER, _PROVIDER, "target",
     "No name server could be found that serves {zone}.",
     ("The portal tries again by itself. If it lasts, check that the domain is registered and delegated, and "
      "this server's name resolution (DNS).")),
    ("dns_zone_missing", 409, _FIX, _PROVIDER, "target",
     "The portal knows no DNS zone in which it could make a name.",
     ("A provider administrator enters it under System, DNS zone; or the name is given in full, and its record "
      "written by hand.")),
    ("domain_rights_missing", 422, _FIX, _CUSTOMER, "target",
     "The portal may not set up a domain for {tenant}: {why}.",
     ("The customer's administrator grants it, at least for the time of the set-up, and it may be taken away again "
      "afterwards. Then press Retry.")),
    ("domain_taken", 409, _FIX, _CUSTOMER, "target",
     "The domain {thing} belongs to another Microsoft 365 organisation.",
     ("A domain can be in one organisation only. Its administrator removes it there, or a domain with another "
      "name is set up.")),
    ("domain_late", 504, _FIX, _PROVIDER, "target",
     "{thing} was not done within {limit}: {why}.",
     "Look at the reason, mend it, and press Retry: it goes on with this step."),
    ("domain_in_use", 409, _FIX, _CUSTOMER, "target",
     "Microsoft 365 does not let the domain {thing} go, because it is still used: {why}.",
     ("The customer's administrator gives these users, groups and apps another domain; then press Retry. The "
      "portal never forces it, since that would rename them all.")),
    ("domain_needs_user", 409, _NEVER, _CUSTOMER, "target",
     "The activation user of {thing} is still needed: no other user with this domain has a licence with Teams Phone.",
     ("Microsoft Teams knows a domain only while a licensed user has it. Once the first real user has it, the "
      "activation user can go.")),
    ("phone_licence_missing", 422, _FIX, _CUSTOMER, "target",
     "No licence with Teams Phone (Phone System) is free in {tenant}: {why}.",
     "The customer's administrator buys or frees one; then press Retry. It can be taken away again later."),
    ("country_missing", 422, _FIX, _CUSTOMER, "target",
     "Microsoft 365 does not say in which country {tenant} is, and gives no licence without one.",
     ("The customer's administrator enters the organisation's country in the Microsoft 365 admin centre, under "
      "Org settings, Organization profile; then press Retry.")),
)

_ASKING: tuple[_Row, ...] = (
    ("invalid_input", 422, _NEVER, _PROVIDER, "none",
     "The value of {field} cannot be used: {why}.",
     "Correct it and send it again."),
    ("sync_off", 409, _NEVER, _PROVIDER, "none",
     "{tenant} was taken without sync, so nothing is read from there.",
     "Switch sync on under Edit; the customer's administrator then gives the portal access."),
    ("teams_not_in_cloud", 409, _NEVER, _MICROSOFT, "none",
     "Microsoft Graph has no telephony in {thing}: users' numbers and policies cannot be read from there.",
     ("Nobody can switch that on. A Teams Administrator of the customer sees them in the Teams admin center of that "
      "cloud, or by Teams PowerShell.")),
    ("not_offered", 422, _NEVER, _PROVIDER, "none",
     "{thing} is not offered to this customer. {why}",
     ("Service, sync, licence and service level decide what a customer can do; its overview lists all of it. "
      "The service provider changes them under Edit.")),
    ("licence_customers_used", 422, _NEVER, _PROVIDER, "none",
     "All Tenants licences are in use ({limit}), so none is left for another customer.",
     ("Delete a customer that has left, or have whoever runs the portal install a larger licence. System > License "
      "shows who holds what.")),
    ("licence_users_short", 422, _NEVER, _PROVIDER, "none",
     "The Users licences do not suffice: {count} more are asked for, and {limit} are left in the pool.",
     ("Give this customer fewer licensed users, take some from another, or have whoever runs the portal install a "
      "larger licence. System > License shows who holds what.")),
    ("secret_is_guid", 422, _NEVER, _PROVIDER, "none",
     "This looks like the Secret ID of {app}, not like the secret itself.",
     ("Copy the column Value from Certificates & secrets. It is shown only right after the secret was "
      "created; if it is gone, create a new one.")),
    ("malformed_request", 400, _NEVER, _PROVIDER, "none",
     "The request could not be read: {why}.",
     "Correct it and send it again."),
    ("not_signed_in", 401, _NEVER, _PROVIDER, "none",
     "You are not signed in, or your access token is missing, wrong or expired.",
     "Sign in again, or ask a provider administrator for a new access token."),
    ("second_factor_required", 403, _NEVER, _PROVIDER, "none",
     "This portal requires a second factor, and your account has none.",
     "Set up an authenticator app or a passkey in your profile."),
    ("not_allowed", 403, _NEVER, _PROVIDER, "none",
     "You are not allowed to do this: {action}.",
     "A provider administrator can give you a role, or your token a scope, that covers it."),
    ("address_not_allowed", 403, _NEVER, _PROVIDER, "none",
     "Requests from your network address are not accepted here.",
     "A provider administrator adds the address to the allowed addresses of the API."),
    ("not_found", 404, _NEVER, _PROVIDER, "none",
     "There is no such {thing} here, or you may not see it.",
     "Check the address. If it should exist, ask a provider administrator."),
    ("method_not_allowed", 405, _NEVER, _PROVIDER, "none",
     "This address does not support {action}.",
     "See the documentation of the API for what it supports."),
    ("not_acceptable", 406, _NEVER, _PROVIDER, "none",
     "The answer is not available in the form you asked for.",
     "Ask for JSON."),
    ("conflict", 409, _NEVER, _PROVIDER, "none",
     "This does not fit the present state of {thing}: {why}.",
     "Look at it again and decide anew."),
    ("already_exists", 409, _NEVER, _PROVIDER, "none",
     "There is already {thing} with these values.",
     "Use the existing one, or choose other values."),
    ("illegal_move", 409, _NEVER, _PROVIDER, "none",
     "The command cannot do {action}, because it is already {state}.",
     "Look at the command again. A finished one can be repeated as a new command."),
    ("gone", 410, _NEVER, _PROVIDER, "none",
     "This {thing} existed once and is gone.",
     "Ask for a new one."),
    ("conflict_version", 412, _NEVER, _PROVIDER, "none",
     "Somebody changed {thing} since you last read it.",
     "Read it again, look at the change, and then save yours."),
    ("request_too_large", 413, _NEVER, _PROVIDER, "none",
     "The request is larger than the portal accepts ({limit}).",
     "Send it in smaller parts."),
    ("unsupported_media", 415, _NEVER, _PROVIDER, "none",
     "The request's content has a form that the portal does not read here.",
     "Send JSON, or the form named in the documentation."),
    ("idempotency_mismatch", 422, _NEVER, _PROVIDER, "none",
     "The same Idempotency-Key was used before for a different request.",
     "Use a new key for a new request, and repeat the same request with the same key."),
    ("idempotency_in_progress", 409, _LATER, _PORTAL, "none",
     "The first request with this Idempotency-Key is still being worked on.",
     "Repeat it in a moment."),
    ("precondition_required", 428, _NEVER, _PROVIDER, "none",
     "A change of {thing} must say which version it is based on.",
     "Read it first and send its ETag in If-Match."),
    ("rate_limited", 429, _LATER, _PROVIDER, "none",
     "You sent more requests than the portal accepts in this time.",
     "Wait as long as the answer says and then go on."),
)

_PORTALS_OWN: tuple[_Row, ...] = (
    ("maintenance", 503, _LATER, _PORTAL, "service",
     "The portal is being maintained at the moment.",
     "Try again in a few minutes. Nothing that waits is lost."),
    ("queue_paused", 503, _LATER, _PROVIDER, "service",
     "All background work is paused.",
     "A provider administrator resumes it on the Queued Tasks page. Nothing that waits is lost."),
    ("tenant_paused", 409, _FIX, _PROVIDER, "connection",
     "Work for {tenant} is paused.",
     "A provider administrator resumes it on the customer's page. Nothing that waits is lost."),
    ("tenant_deleted", 410, _NEVER, _PROVIDER, "connection",
     "The customer was deleted from the portal, and nothing is done for it any more.",
     "For 30 days an administrator of the provider can restore it, on the page Deleted customers."),
    ("connection_missing", 409, _FIX, _PROVIDER, "connection",
     "The customer is not connected to Microsoft 365 yet.",
     ("Enter an app registration on the connection page, or let the customer's administrator sign in under "
      "Grant Access.")),
    ("provider_app_missing", 409, _FIX, _PROVIDER, "service",
     "No ClientId was specified.",
     ("A provider administrator enters Client Id and Client Secret of the provider's app registration on "
      "Authentication Status.")),
    ("provider_app_elsewhere", 422, _NEVER, _PROVIDER, "connection",
     "The provider's app registration does not exist for {tenant}, whose tenant is in {cloud}.",
     ("It works for worldwide tenants only. The clouds of the US government (GCC High, DoD) and of China need an app "
      "registration of the customer's own: enter it under Migrate, or on the connection page.")),
    ("plan_without_app", 422, _FIX, _PROVIDER, "connection",
     "The service level of {tenant} does not include app registrations.",
     "They belong to Hosted Essentials Plus and Hosted Pro. Change the service level on the customer's page first."),
    ("provider_app_untried", 409, _FIX, _PROVIDER, "service",
     "Nobody can tell whether the provider's app registration works: no place is known where it could be tried.",
     ("A provider administrator enters the Azure Tenant Id of the provider's own organisation on "
      "Authentication Status.")),
    ("connection_unverified", 409, _FIX, _PROVIDER, "connection",
     "The customer's credentials have not been checked successfully yet.",
     "Check the credentials on the connection page: work goes on when that succeeds."),
    ("organization_unconfirmed", 409, _FIX, _PROVIDER, "connection",
     "The first replication waits until somebody confirms that the right organisation was connected.",
     "Compare what the check found at Microsoft with the customer you meant, and confirm it on the customer's page."),
    ("secret_unreadable", 500, _FIX, _PROVIDER, "connection",
     "The stored secret of the customer's connection cannot be opened.",
     ("Enter the secret again on the connection page. If this concerns many customers, whoever runs the portal "
      "checks the key file of the workers.")),
    ("key_unavailable", 503, _FIX, _PORTAL, "service",
     "The workers cannot open stored secrets, because their key is missing or is another one.",
     "Whoever runs the portal checks the key file of the workers."),
    ("breaker_open", 503, _LATER, _PORTAL, "connection",
     "Several tries in a row failed, so the portal rests before it tries again.",
     "See the last failure for the cause. A check of the credentials tries at once."),
    ("licence_missing", 422, _FIX, _CUSTOMER, "target",
     "There is no free licence of the needed kind for {thing}.",
     "The customer's administrator buys or frees a licence; then repeat."),
    ("plan_stale", 409, _NEVER, _PROVIDER, "target",
     "The customer's data changed since this plan was made, so it was not carried out.",
     "Make a new plan, look at it, and then confirm it."),
    ("plan_needs_approval", 409, _FIX, _PROVIDER, "target",
     "This run would remove {count} objects, more than the portal removes without asking.",
     "A provider administrator looks at the plan on the command's page, and confirms it or cancels the command."),
    ("incomplete_read", 502, _LATER, _PORTAL, "target",
     "The customer's data could not be read to the end, so nothing was removed.",
     "Nothing to do: the portal starts the reading again by itself."),
    ("unknown_kind", 500, _FIX, _PORTAL, "target",
     "The workers do not know this kind of command.",
     "Whoever runs the portal makes sure that web and workers have the same version."),
    ("lease_lost", 409, _LATER, _PORTAL, "target",
     "Another worker has taken over this command.",
     "Nothing to do: the other worker finishes it."),
    ("worker_lost", 503, _LATER, _PORTAL, "target",
     "The worker that carried out this command stopped in the middle.",
     "Nothing to do: another worker looks what was done and goes on."),
    ("attempts_exhausted", 500, _FIX, _PROVIDER, "target",
     "The command failed {attempts} times and is not tried again by itself.",
     "See the last failure for the cause; when it is mended, repeat the command."),
    ("poison", 500, _FIX, _PORTAL, "target",
     "The command was set aside, because workers stopped each time they carried it out.",
     "Tell whoever runs the portal; the other commands of this customer go on."),
    ("cross_tenant", 500, _NEVER, _PORTAL, "target",
     "The portal stopped a step that would have touched the data of another customer.",
     "Nothing was read or changed. Tell whoever runs the portal: this is a fault."),
    ("database_unavailable", 503, _LATER, _PORTAL, "service",
     "The portal's database does not answer at the moment.",
     "Try again in a few minutes. If it lasts, tell whoever runs the portal."),
    ("internal", 500, _FIX, _PORTAL, "target",
     "Something went wrong inside the portal.",
     "Try once more. If it comes back, give the time and the technical detail to whoever runs the portal."),
)

_INVITING: tuple[_Row, ...] = (
    ("invitation_unknown", 404, _FIX, _PROVIDER, "none",
     "This link does not lead anywhere.",
     "Use the newest link that you were sent, whole and unchanged, or ask your service provider for another one."),
    ("invitation_expired", 410, _FIX, _PROVIDER, "none",
     "This invitation expired on {date}.",
     "Ask your service provider for another one. Nothing was changed in your organisation."),
    ("invitation_revoked", 410, _FIX, _PROVIDER, "none",
     "Your service provider has withdrawn this invitation.",
     "If you did not expect that, ask your service provider. Nothing more is asked of you here."),
    ("invitation_used", 410, _NEVER, _PROVIDER, "none",
     "This invitation was used, and your organisation is connected.",
     "Nothing is left to do here. If something does not work, ask your service provider."),
    ("invitation_open", 409, _FIX, _PROVIDER, "none",
     "Tenant has open invitation.",
     "Send a reminder, or revoke it on Customer Invitations before you send another one."),
    ("visit_over", 410, _FIX, _CUSTOMER, "none",
     "This browser has no invitation open.",
     "Open the link in the newest mail again; you go on where you stopped."),
    ("organisation_unavailable", 422, _FIX, _PROVIDER, "connection",
     "The organisation that you signed in for cannot be connected by this invitation.",
     ("Nothing was kept. Sign in with an administrator of the organisation that is invited. If you did, ask your "
      "service provider.")),
    ("organisation_refused", 422, _FIX, _CUSTOMER, "connection",
     "Your service provider says that the organisation you signed in for is not the one that is invited.",
     "Nothing was kept. Sign in again, with an administrator of the organisation that is invited."),
    ("account_not_admin", 422, _FIX, _CUSTOMER, "connection",
     "{account} is no administrator of {tenant}.",
     ("Nothing was kept. Sign in with a Global Administrator, or with the service account that has the roles "
      "listed here.")),
    ("device_not_allowed", 422, _FIX, _PROVIDER, "target",
     "The app registration by which the portal signs in does not allow sign-ins by a code.",
     ('Sign in at Microsoft in this browser instead. Whoever owns the app registration may switch on "Allow public '
      'client flows".')),
    ("device_waited", 410, _FIX, _CUSTOMER, "target",
     "Nobody finished the sign-in with the code within ten minutes, so the portal stopped waiting.",
     ("Start again to get a new code. Where it is Microsoft that refuses codes, by a rule of your organisation, "
      "sign in at Microsoft in this browser instead.")),
)

_SBC: tuple[_Row, ...] = (
    ("sbc_sign_in_refused", 502, _FIX, _PROVIDER, "target",
     "{host} refused the user name or the password.",
     ("Edit it and enter Gateway User and Gateway Password again. The portal does not try by itself any more, since "
      "a device locks an account, and with it this server's address, after a few wrong tries. A Security "
      "Administrator of the device can see whether the account's status is Valid.")),
    ("sbc_not_permitted", 502, _FIX, _PROVIDER, "target",
     "{host} does not let its Gateway User do this.",
     "Give that account the level Administrator on the device; Monitor is not enough to read its configuration."),
    ("sbc_certificate", 502, _FIX, _PROVIDER, "target",
     "{host} shows a certificate that the portal does not trust.",
     ("Compare the fingerprint it shows with the one on the device itself. If they are the same, enter it as "
      "Certificate fingerprint; or give the device a certificate of an authority that this server trusts.")),
    ("sbc_other_device", 502, _FIX, _PROVIDER, "target",
     "Another device answers at the address of {host}: serial number {key}.",
     ("Nothing was read from it. If the device was replaced, edit it and save its Gateway Password again; if not, "
      "correct its address.")),
    ("sbc_busy", 409, _LATER, _PORTAL, "target",
     "{host} cannot do this at the moment: {why}.",
     "The portal tries again by itself. A pair of devices that copies its configuration needs some minutes."),
    ("sbc_failed", 502, _LATER, _PROVIDER, "target",
     "{host} answered with a fault: {why}.",
     "The portal tries again by itself. If it lasts, look at the device."),
    ("sbc_script_refused", 422, _NEVER, _PROVIDER, "target",
     "{host} did not accept the script: {why}.",
     "Lines before the refused one may have been applied. Look at what is on the device before you try again."),
    ("script_wrong", 409, _FIX, _PROVIDER, "target",
     "The script template {thing} is not executed, because it is wrong: {why}.",
     "Correct it under SBC > Scripts, where every finding is shown in its line, and try again."),
    ("sbc_file_unreadable", 502, _FIX, _PROVIDER, "target",
     "The configuration of {host} cannot be read: {why}.",
     "Nothing was taken from it. Try again; if it stays so, pass the technical detail to whoever runs the portal."),
    ("sbc_not_saved", 502, _LATER, _PROVIDER, "target",
     "{host} has taken the change, but has not saved it: {why}.",
     ("The portal tries again by itself. Until it is saved, a restart of the device loses it; press Write now once "
      "the device is well.")),
    ("dial_plan_missing", 409, _FIX, _PROVIDER, "target",
     "{plan} is not on {host}.",
     ("Make the plan on the device, together with the routing that asks it; then write again. The portal makes none: "
      "numbers in a plan that nothing asks would not ring.")),
    ("number_taken", 409, _FIX, _PROVIDER, "target",
     "{prefix} is not free in {plan} on {host}: {why}.",
     "Take numbers that no other rule has, or take them away there first."),
    ("number_range_taken", 409, _NEVER, _PROVIDER, "target",
     "{prefix} cannot be a range here: {why}.",
     "A number is in one range only. Choose other numbers, or take them out of that range first."),
    ("number_held", 409, _NEVER, _PROVIDER, "target",
     "{prefix} cannot be reserved or blocked: {why}.",
     "Choose other numbers, or release these first."),
    ("number_changed", 409, _FIX, _PROVIDER, "target",
     "{prefix} is not on {host} as the portal wrote it: {why}.",
     "Somebody changed it at the device. Write it again, or remove it here; what is on the device stays until then."),
    ("number_busy", 409, _LATER, _PORTAL, "target",
     "{prefix} is being written.",
     "Wait until it is on the SBC, or the attempt has failed."),
    ("ovoc_missing", 409, _FIX, _PROVIDER, "service",
     "The portal does not know where OVOC is.",
     "A provider administrator enters OVOC's address and its operator account under SBC, OVOC."),
    ("site_unfit", 422, _NEVER, _PROVIDER, "target",
     "The script for site {thing} is not sent to {host}: {why}.",
     "Nothing was changed on the device. Mend the template or what was entered for the site, and look again."),
    ("site_plan_stale", 409, _NEVER, _PROVIDER, "target",
     "What would be done on {host} for site {thing} is no longer what was looked at.",
     "Nothing was changed: the device, the template or the site has. Look at the preview again, and decide anew."),
    ("site_refused", 422, _NEVER, _PROVIDER, "target",
     "{host} did not take the script for site {thing}: {why}.",
     ("What had been applied before that was taken away again, so the device is as before. Mend the template or what "
      "was entered for the site, and deploy it again.")),
    ("site_left_over", 422, _NEVER, _PROVIDER, "target",
     "Something of site {thing} is left on {host}: {why}.",
     "The portal knows these rows. See on the device what holds them, and remove the site from the SBC again."),
    ("site_changed", 409, _NEVER, _PROVIDER, "target",
     "Somebody has changed what the portal made on {host} for site {thing}: {why}.",
     ("Nothing was changed now. Look at the rows; to remove them all the same, open Remove from SBC and confirm what "
      "it shows.")),
    ("site_held", 409, _NEVER, _PROVIDER, "target",
     "On {host} others use what belongs to site {thing}: {why}.",
     "Nothing was changed. Take these uses away on the device first; the portal never touches rows of others."),
    ("site_has_prefixes", 409, _NEVER, _PROVIDER, "target",
     "Site {thing} still has prefixes: {why}.",
     "Remove its prefixes first, so that no number leads to a site that is gone."),
    ("site_interrupted", 409, _FIX, _PROVIDER, "target",
     "The work on site {thing} was stopped, and nobody has looked yet what came of it.",
     "Deploy it, or remove it from the SBC: the portal looks first what is on the device, and goes on from there."),
)

_TEAMS: tuple[_Row, ...] = (
    ("powershell_missing", 503, _FIX, _PORTAL, "target",
     "This portal has no PowerShell, with which this work in Microsoft Teams is done.",
     ("Carry it out by hand: the page has a script that is ready to run, and Verify. Or whoever runs the portal "
      "gives a worker PowerShell with the MicrosoftTeams module.")),
    ("teams_module_missing", 503, _FIX, _PORTAL, "target",
     "PowerShell runs, but its module MicrosoftTeams does not do this work: {why}.",
     "Whoever runs the portal installs a version of MicrosoftTeams that has what is needed, for all users."),
    ("powershell_failed", 502, _LATER, _PORTAL, "target",
     "PowerShell ended, or answered what cannot be read, before it was done with {thing}.",
     "The portal tries again by itself. If it lasts, pass the technical detail to whoever runs the portal."),
    ("powershell_late", 504, _LATER, _MICROSOFT, "target",
     "Microsoft Teams did not answer in time about {thing}.",
     "The portal tries again by itself. If it lasts, look at Microsoft's service health page."),
    ("teams_session_refused", 422, _FIX, _CUSTOMER, "target",
     "Microsoft Teams did not let the portal in for {tenant}.",
     ("Check the credentials on the connection page. The customer's administrator sees that whoever the portal signs "
      "in as has the role Teams Administrator in Microsoft Entra.")),
    ("teams_domain_unknown", 422, _LATER, _MICROSOFT, "target",
     "Microsoft Teams does not know the domain of {thing} yet.",
     ("Nothing to do for a day: the portal tries again by itself. If it lasts, the customer's administrator sees "
      "that the domain is verified and that somebody with a Teams licence has a user name in it.")),
    ("teams_in_use", 409, _FIX, _CUSTOMER, "target",
     "Microsoft Teams does not remove {thing}, because something still uses it.",
     "The customer's administrator takes it from those who use it; then repeat."),
    ("teams_refused", 422, _NEVER, _PORTAL, "target",
     "Microsoft Teams refused what the portal wanted of {thing}.",
     "The technical detail has Microsoft's own words. Repeating the same will not help."),
)

_WRITING: tuple[_Row, ...] = (
    ("number_in_use", 409, _FIX, _PROVIDER, "target",
     "In Microsoft Teams {number} already belongs to somebody else than {thing}.",
     "Replicate the customer to see who has it. Take it from there first, or choose another number."),
    ("number_unknown", 404, _FIX, _CUSTOMER, "target",
     "Microsoft does not have {number} among the numbers of {tenant}.",
     ("Numbers of Calling Plan and Operator Connect exist only once they were ordered: the customer's administrator, "
      "or the operator, does that. Then replicate the customer, or choose another number.")),
    ("number_kind_differs", 409, _FIX, _PROVIDER, "target",
     "Microsoft has {number} as another kind of number than the portal wanted to give.",
     "Replicate the customer: then the portal knows the kind. Repeat the change afterwards."),
    ("number_unsuitable", 422, _FIX, _PROVIDER, "target",
     "Microsoft does not let {number} be given to {thing}: it is meant for something else.",
     "Choose a number that may be given to users, or to resource accounts, as this one is."),
    ("number_not_assigned", 409, _NEVER, _PROVIDER, "target",
     "Nobody has {number} any more, so it could not be taken back.",
     "Nothing to do: replicate the customer to see it as free."),
    ("number_location_missing", 422, _FIX, _CUSTOMER, "target",
     "{number} needs an emergency location, and none was given with it.",
     ("The customer's administrator enters the address in the Teams admin center, under Locations, Emergency "
      "addresses; then give the number together with that location.")),
    ("number_order_failed", 422, _FIX, _PORTAL, "target",
     "Microsoft accepted the change of {number} and then did not carry it out: {why}.",
     "Repeat it once. If it fails again, pass the technical detail to whoever runs the portal."),
    ("teams_phone_missing", 422, _FIX, _CUSTOMER, "target",
     "{thing} has no licence with Teams Phone (Phone System), so Microsoft gives no number.",
     ("Give the licence, here or in the Microsoft 365 admin centre. Teams needs some minutes, at times hours, to "
      "know of it; then repeat.")),
    ("usage_location_missing", 422, _FIX, _PROVIDER, "target",
     "Microsoft does not know in which country {thing} works (usage location), and gives neither licence nor number.",
     "Set the usage location of the user, here or in the Microsoft 365 admin centre; then repeat."),
    ("policy_unknown", 422, _FIX, _PROVIDER, "target",
     "Microsoft Teams of {tenant} has no policy {policy}.",
     ("Choose another policy. If it is to exist, the customer's administrator creates it in the Teams admin center, "
      "or Deploy does, where it belongs to a site.")),
    ("policy_refused", 422, _NEVER, _PORTAL, "target",
     "Microsoft Teams did not take the change of {policy} for {thing}.",
     "Repeating will not help. The technical detail has Microsoft's own words: pass it to whoever runs the portal."),
    ("user_deleted", 404, _FIX, _CUSTOMER, "target",
     "{thing} was deleted in Microsoft 365 on {date}.",
     ("If that was a mistake, the customer's administrator restores the user in the Microsoft 365 admin centre "
      "within 30 days of that; then repeat.")),
    ("synced_from_premises", 409, _FIX, _CUSTOMER, "target",
     "{thing} comes from the customer's own directory (Active Directory), which alone can change {field}.",
     "The customer's administrator changes it there; Microsoft and the portal follow with the next synchronisation."),
    ("group_by_rule", 409, _FIX, _CUSTOMER, "target",
     "Who belongs to {thing} is decided by a rule of Microsoft Entra, so nobody can be added or removed by hand.",
     "The customer's administrator changes the rule of the group, or the user's details that the rule looks at."),
    ("licence_unknown", 422, _FIX, _CUSTOMER, "target",
     "{tenant} does not have the licence that {thing} should get.",
     "The customer's administrator buys it, or choose another licence; then repeat."),
    ("licence_from_group", 409, _FIX, _CUSTOMER, "target",
     "{thing} has the licence as a member of a group, so it cannot be taken from the user alone.",
     "Take the user out of the group that gives the licence, here or in Microsoft Entra."),
)
# fmt: on

_SECTIONS: tuple[tuple[str, tuple[_Row, ...]], ...] = (
    ("App registrations and their credentials", _APP),
    ("Consent and the customer's organisation", _TENANT),
    ("Sign-in of a person", _PERSON),
    ("Microsoft 365", _GRAPH),
    ("The line to the outside", _LINE),
    ("Domains and name servers", _DNS),
    ("What was asked of the portal", _ASKING),
    ("The portal itself", _PORTALS_OWN),
    ("Invitations", _INVITING),
    ("SBC devices and OVOC", _SBC),
    ("Settings of Microsoft Teams", _TEAMS),
    ("Changes of users and numbers", _WRITING),
)


def _collect() -> Mapping[str, ErrorKind]:
    kinds: dict[str, ErrorKind] = {}
    for section, rows in _SECTIONS:
        for code, status, remedy, who, scope, message, advice in rows:
            if code in kinds:
                raise ValueError(f"the catalogue lists {code!r} twice")
            kinds[code] = ErrorKind(code, section, status, remedy, who, scope, message, advice)
    return MappingProxyType(kinds)


CATALOGUE: Mapping[str, ErrorKind] = _collect()
