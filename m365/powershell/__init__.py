"""PowerShell for Microsoft Teams: calls as data, the process that runs them, and scripts for people.

`calls` says what one call is, `cmdlets` which there are, `process` and `session.ps1` run them in a real `pwsh`,
`faults` names what went wrong, `script` writes the same calls down for a person. Who wants to talk to Teams uses
`m365.teams_powershell`.
"""
