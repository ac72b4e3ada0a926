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
     ("The customer's administrator creates a new client secret in the Microsoft Entra admin centre; "
      "then enter its Value on the customer's connection page.")),
    ("secret_wrong", 422, _FIX, _PROVIDER, "connection",
     "Microsoft did not accept the client secret of {app}.",
     ("Enter the secret's Value, not its Secret ID, with no blanks around it. If it was created a minute "
      "ago, wait two minutes and check again. If it is lost, the customer's administrator creates a new "
      "one.")),
    ("secret_required", 422, _FIX, _PROVIDER, "connection",
     "Microsoft expects a client secret or a certificate from {app}, and none was sent.",
     ("Enter a client secret or a certificate on the customer's connection page, or let the owner of the "
      'app registration switch on "Allow public client flows".')),
    ("secret_not_wanted", 422, _FIX, _PROVIDER, "connection",
     "A client secret was sent for {app}, but this app registration works without one.",
     ("Remove the client secret on the customer's connection page, or let the owner of the app "
      'registration switch off "Allow public client flows".')),
    ("app_not_found", 422, _FIX, _PROVIDER, "connection",
     "Microsoft does not know {app} in {tenant}.",
     ("Compare the client ID and the tenant ID with the app registration's overview page. If both are "
      "right, the customer's administrator gives consent again, which installs the app.")),
    ("app_not_installed", 422, _FIX, _CUSTOMER, "connection",
     "The app registration exists, but {app} is not installed as an enterprise application in {tenant}.",
     ("The customer's administrator gives consent, which installs it. Right after registration, wait "
      "five minutes.")),
    ("app_disabled", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft reports that {app} is switched off.",
     ("The customer's administrator enables it again in the Microsoft Entra admin centre, under "
      "Enterprise applications. If it is greyed out there, Microsoft has blocked it and their support "
      "can say why.")),
    ("service_disabled", 422, _FIX, _CUSTOMER, "connection",
     "A Microsoft service that {app} needs is switched off in {tenant}.",
     ("The customer's administrator enables that service under Enterprise applications, or buys a "
      "licence for it.")),
    ("service_missing", 422, _FIX, _CUSTOMER, "connection",
     "A Microsoft service that {app} needs does not exist in {tenant}.",
     ("The customer's administrator gives consent again, which adds it. Also check that the right "
      "Microsoft cloud is chosen on the connection page.")),
    ("certificate_refused", 422, _FIX, _PROVIDER, "connection",
     "Microsoft did not accept the certificate of {app}.",
     ("Check that this very certificate is uploaded to the app registration and has not expired, and "
      "that the clock of this server is right. Right after an upload, wait five minutes and check again.")),
    ("certificate_unreadable", 422, _FIX, _PROVIDER, "connection",
     "The certificate or private key of {app} cannot be read: {why}.",
     ("Enter certificate and private key in PEM form, without a passphrase, and make sure that they "
      "belong together.")),
    ("app_single_tenant", 422, _FIX, _PROVIDER, "connection",
     "Only accounts of its own organisation may use {app}, but the sign-in was open to every organisation.",
     "Enter the customer's tenant ID on the connection page and check again."),
    ("redirect_unknown", 422, _FIX, _PROVIDER, "connection",
     "Microsoft refused to come back to this portal, because its address is not listed in {app}.",
     ("The owner of the app registration adds this portal's sign-in address to its redirect URIs, letter "
      "by letter.")),
    ("request_malformed", 502, _NEVER, _PORTAL, "connection",
     "Microsoft did not understand the portal's sign-in request for {app}.",
     "This is a fault of the portal. Pass the technical detail to whoever runs it."),
    ("token_loop", 503, _LATER, _PORTAL, "connection",
     "Microsoft stopped {app} for a while, because it asked for access too many times in a row.",
     "The portal waits and tries again by itself. If it comes back, tell whoever runs the portal."),
    ("registration_not_ours", 422, _FIX, _CUSTOMER, "target",
     "The portal may not change {app} at Microsoft. Missing: {permission}.",
     ("The customer's administrator grants it and makes the app an owner of its own registration. Or somebody "
      "creates a new client secret by hand and enters it on the connection page.")),
    ("secret_life_refused", 422, _FIX, _CUSTOMER, "target",
     "The rules of {tenant} for app registrations do not allow a client secret to live that long.",
     ("The portal asks for shorter lives by itself. Where even the shortest is refused, use a certificate, or the "
      "customer's administrator exempts {app} from the rule.")),
    ("secret_type_refused", 422, _FIX, _CUSTOMER, "target",
     "The rules of {tenant} for app registrations do not allow client secrets at all.",
     ("Use a certificate: upload it to {app} and enter it with its key on the connection page. Or the customer's "
      "administrator exempts {app} from the rule.")),
    ("secret_not_in_force", 422, _FIX, _MICROSOFT, "target",
     "Microsoft did not put the new client secret of {app} into force in time, so it was taken away again.",
     "Nothing has changed: the one before is still in use. Try again later."),
    ("provider_app_refused", 503, _LATER, _PROVIDER, "service",
     "Microsoft does not let the provider's own app registration in: {why}.",
     ("A provider administrator enters a valid client secret or certificate on Authentication Status. The customers "
      "need not do anything: their work waits and goes on by itself.")),
    ("service_account_failed", 422, _FIX, _CUSTOMER, "target",
     "The old service account, which only creates resource accounts, cannot be used: {why}.",
     ("Give this one work another way in. Everything else of this customer, calls included, goes on without that "
      "account.")),
    ("migration_rolled_back", 422, _FIX, _PROVIDER, "target",
     "The new app registration did not work: {why} So the portal went back to the old way in.",
     "Nothing is lost. Mend what the registration page says about the new one, and migrate again."),
    ("signin_refused", 422, _FIX, _PROVIDER, "connection",
     "Microsoft refused the sign-in of {app} for a reason that the portal does not know.",
     "Look up Microsoft's code in the technical detail, or give the detail to Microsoft's support."),
)

_TENANT: tuple[_Row, ...] = (
    ("consent_missing", 422, _FIX, _CUSTOMER, "connection",
     "Nobody in {tenant} has consented to what {app} needs.",
     "The customer's administrator gives consent: send the consent link from the connection page."),
    ("consent_declined", 422, _FIX, _CUSTOMER, "connection",
     "The person who was asked for consent to {app} declined.",
     "Explain what the permissions are for and send the consent link again."),
    ("consent_needs_admin", 422, _FIX, _CUSTOMER, "connection",
     "Only an administrator of {tenant} may consent to {app}.",
     "A Global Administrator or Privileged Role Administrator of the customer opens the consent link."),
    ("app_misconfigured", 422, _FIX, _PROVIDER, "connection",
     "The portal asks for a permission that is not listed in {app}.",
     ("The owner of the app registration adds the missing permission under API permissions; then the "
      "customer's administrator consents again.")),
    ("service_not_subscribed", 422, _FIX, _CUSTOMER, "connection",
     "A Microsoft service that {app} needs is not part of the subscription of {tenant}.",
     "The customer's administrator checks the subscriptions and licences in the Microsoft 365 admin centre."),
    ("tenant_unknown", 422, _FIX, _PROVIDER, "connection",
     "Microsoft knows no organisation under {tenant}.",
     ("Compare the tenant ID or domain with the overview page in the Microsoft Entra admin centre, and "
      "check that the right Microsoft cloud is chosen.")),
    ("tenant_not_given", 422, _FIX, _PROVIDER, "connection",
     "Microsoft could not tell which organisation is meant.",
     "Enter the customer's tenant ID on the connection page."),
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
     ("Nothing was read or changed. Compare the tenant ID on the connection page; whoever gives consent "
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
     ("Whoever owns the account enters the password again. The portal does not retry, so that it is not "
      "locked.")),
    ("account_unknown", 422, _FIX, _PROVIDER, "connection",
     "Microsoft does not know {account} in {tenant}.",
     "Check the spelling of the user name, and that it belongs to this customer."),
    ("account_locked", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft has locked {account} for a while after too many failed sign-ins.",
     "Wait at least fifteen minutes, or let the customer's administrator unlock it; then sign in again."),
    ("password_expired", 422, _FIX, _CUSTOMER, "connection",
     "The password of {account} has expired.",
     "Whoever owns the account sets a new password at Microsoft and signs in again here."),
    ("password_missing", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft keeps no password for {account}, so a user name and password cannot work.",
     "Connect the customer by consent or by device code instead."),
    ("account_disabled", 422, _FIX, _CUSTOMER, "connection",
     "In {tenant}, {account} is disabled.",
     "The customer's administrator enables the account, or somebody signs in with another one."),
    ("mfa_required", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft wants {account} to confirm the sign-in with a second factor.",
     "Whoever owns the account signs in again in the browser or by device code, and confirms there."),
    ("mfa_not_set_up", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft wants {account} to set up a second factor first.",
     "Whoever owns the account opens https://aka.ms/mfasetup, sets it up, and then signs in again here."),
    ("signin_too_old", 422, _FIX, _CUSTOMER, "connection",
     "The last sign-in of {account} is older than the customer's rules allow.",
     "Whoever owns the account signs in again on the customer's connection page."),
    ("external_check_required", 422, _FIX, _CUSTOMER, "connection",
     "The customer's own security provider wants to check {account} before Microsoft lets it in.",
     "Whoever owns the account signs in again in the browser, where that check can be answered."),
    ("device_not_accepted", 422, _FIX, _CUSTOMER, "connection",
     "The customer's rules allow {account} to sign in from managed devices only.",
     "Sign in from a managed device, or let the customer's administrator make an exception for {app}."),
    ("conditional_access", 422, _FIX, _CUSTOMER, "connection",
     "A rule of {tenant} (Conditional Access) keeps {app} out.",
     ("The customer's administrator finds the blocked sign-in in the sign-in logs of the Microsoft Entra "
      "admin centre and makes an exception for this app or account.")),
    ("security_policy", 422, _FIX, _CUSTOMER, "connection",
     "The security settings of {tenant} block this sign-in as risky.",
     ("The customer's administrator looks at the blocked sign-in in the Microsoft Entra admin centre, "
      "clears the risk or makes an exception, and then signs in again.")),
    ("partner_blocked", 422, _FIX, _PROVIDER, "connection",
     "Microsoft blocked the provider's own account because of a risk seen in the provider's organisation.",
     ("The provider's security administrator clears the risk in the provider's own Microsoft Entra admin "
      "centre.")),
    ("signin_revoked", 422, _FIX, _CUSTOMER, "connection",
     "The stored sign-in of {account} ended, because its password or its sessions were reset.",
     "Whoever owns the account signs in again on the customer's connection page."),
    ("signin_unused", 422, _FIX, _CUSTOMER, "connection",
     "The stored sign-in of {account} ended, because it was not used for 90 days.",
     "Whoever owns the account signs in again on the customer's connection page."),
    ("signin_expired", 422, _FIX, _CUSTOMER, "connection",
     "The stored sign-in of {account} has ended or was withdrawn.",
     "Whoever owns the account signs in again on the customer's connection page."),
    ("signin_short_lived", 422, _FIX, _PROVIDER, "connection",
     "The sign-in ended after 24 hours, because {app} lists this portal as a single-page application.",
     ("The owner of the app registration moves the portal's redirect URI from \"Single-page application\" "
      'to "Web"; then somebody signs in again.')),
    ("signin_restart", 409, _FIX, _CUSTOMER, "connection",
     "This sign-in was already used, took too long, or was finished elsewhere.",
     "Start the sign-in again from the customer's connection page."),
    ("signin_foreign", 409, _FIX, _CUSTOMER, "none",
     "This sign-in was begun in another browser or by somebody else, so nothing was taken from it.",
     "Begin again, and finish in the same browser: from the customer's connection page, Grant Access."),
    ("signin_confirm", 409, _FIX, _CUSTOMER, "connection",
     "Microsoft wants the person to confirm the sign-in in the browser.",
     "Start the sign-in again and answer every question that Microsoft asks."),
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
     ("The portal tries again by itself. If it lasts, the customer's administrator checks the pass- "
      "through authentication agents.")),
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
     ("Check the credentials on the connection page. If they are accepted there, wait ten minutes and "
      "try again.")),
    ("permission_missing", 422, _FIX, _CUSTOMER, "connection",
     "Microsoft does not let {app} do its work. Missing: {permission}.",
     ("The customer's administrator opens the consent link and agrees. After a consent it can take some "
      "minutes until Microsoft applies it everywhere.")),
    ("role_missing", 422, _FIX, _CUSTOMER, "target",
     "In {tenant}, a directory role that voice work needs is not there: {role}.",
     ("The customer's administrator adds it in the Microsoft Entra admin centre, under Roles and "
      "administrators; then check again.")),
    ("consent_propagating", 503, _LATER, _MICROSOFT, "target",
     "Microsoft let the portal in, but has not put this in force yet: {permission}.",
     ("Nothing to do for some minutes: Microsoft spreads new consent slowly, and the portal looks again by itself. "
      "If it stays like this, the customer's administrator grants admin consent.")),
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

_ASKING: tuple[_Row, ...] = (
    ("invalid_input", 422, _NEVER, _PROVIDER, "none",
     "The value of {field} cannot be used: {why}.",
     "Correct it and send it again."),
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
     "You are not allowed to do {action}.",
     "A provider administrator can give you the role for it."),
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
     "Enter an app registration on the connection page, or send the customer a consent link."),
    ("provider_app_missing", 409, _FIX, _PROVIDER, "service",
     "No ClientId was specified.",
     ("A provider administrator enters Client Id and Client Secret of the provider's app registration on "
      "Authentication Status.")),
    ("provider_app_untried", 409, _FIX, _PROVIDER, "service",
     "Nobody can tell whether the provider's app registration works: no place is known where it could be tried.",
     ("A provider administrator enters the Azure Tenant Id of the provider's own organisation on "
      "Authentication Status.")),
    ("connection_unverified", 409, _FIX, _PROVIDER, "connection",
     "The customer's credentials have not been checked successfully yet.",
     'Press "Check credentials" on the connection page.'),
    ("secret_unreadable", 500, _FIX, _PROVIDER, "connection",
     "The stored secret of the customer's connection cannot be opened.",
     ("Enter the secret again. If this concerns many customers, whoever runs the portal checks the key "
      "file of the workers.")),
    ("key_unavailable", 503, _FIX, _PORTAL, "service",
     "The workers cannot open stored secrets, because their key is missing or is another one.",
     "Whoever runs the portal checks the key file of the workers."),
    ("breaker_open", 503, _LATER, _PORTAL, "connection",
     "Several tries in a row failed, so the portal rests before it tries again.",
     'See the last failure for the cause. "Check credentials" tries at once.'),
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
# fmt: on

_SECTIONS: tuple[tuple[str, tuple[_Row, ...]], ...] = (
    ("App registrations and their credentials", _APP),
    ("Consent and the customer's organisation", _TENANT),
    ("Sign-in of a person", _PERSON),
    ("Microsoft 365", _GRAPH),
    ("The line to the outside", _LINE),
    ("What was asked of the portal", _ASKING),
    ("The portal itself", _PORTALS_OWN),
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
