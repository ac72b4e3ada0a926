# Stands in for Microsoft's module in tests: voice routing in memory, and as much chatter as the real one.

$script:tenant = ''
$script:usages = [System.Collections.Generic.List[string]]::new()
$script:kept = @{ Gateway = [ordered]@{}; Route = [ordered]@{}; Policy = [ordered]@{}; DialPlan = [ordered]@{} }

function Write-Chatter {
    Write-Host 'Welcome to the module.'
    Write-Warning 'This module will change.'
    Write-Progress -Activity 'Working' -Status 'half' -PercentComplete 50
    Write-Verbose 'verbose' -Verbose
    Write-Information 'information' -InformationAction Continue
    [Console]::Out.Write("no end of line`u{FEFF}")
}

function Find-Kept([string] $kind, [string] $name) {
    $name = $name -replace '^Tag:', ''
    if (-not $script:kept[$kind].Contains($name)) {
        # As some of the real cmdlets do it: an error that -ErrorAction Stop does not turn into an exception.
        Write-Error -Message "$name was not found" -ErrorId 'NotFound' -Category ObjectNotFound -ErrorAction Continue
        return $null
    }
    return $script:kept[$kind][$name]
}

function Add-Kept([string] $kind, [string] $name, [hashtable] $values, [string] $prefix) {
    if ($script:kept[$kind].Contains($name)) {
        throw [System.InvalidOperationException]::new("$name already exists.")
    }
    $values['Identity'] = "$prefix$name"
    $script:kept[$kind][$name] = [pscustomobject] $values
}

function Get-Changed($old, $change) {
    if ($change -isnot [hashtable]) { return , [object[]] @($change) }
    if ($change.ContainsKey('Replace')) { return , [object[]] @($change['Replace']) }
    return , [object[]] (@($old) + @($change['Add']))
}

function Connect-MicrosoftTeams {
    param([string[]] $AccessTokens, [string] $TenantId, [string] $LogLevel, [string] $TeamsEnvironmentName)
    Write-Chatter
    if ($AccessTokens.Count -ne 2) { throw 'Two access tokens are needed.' }
    if ($AccessTokens[0] -eq 'expired') { throw "The token $($AccessTokens[0]) has expired." }
    $script:tenant = if ($AccessTokens[0] -eq 'foreign') { '99999999-0000-0000-0000-000000000000' } else { $TenantId }
    return [pscustomobject]@{ Account = 'app'; Environment = $TeamsEnvironmentName; TenantId = $script:tenant }
}

function Get-CsTenant { return [pscustomobject]@{ TenantId = $script:tenant } }

function Get-CsOnlinePstnUsage {
    param([string] $Identity)
    Write-Chatter
    return [pscustomobject]@{ Identity = 'Global'; Usage = $script:usages }
}

function Set-CsOnlinePstnUsage {
    [CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
    param([string] $Identity, $Usage)
    Write-Chatter
    if (-not $PSCmdlet.ShouldProcess($Identity)) { return }
    if ($Usage.ContainsKey('Add')) { $script:usages.Add($Usage['Add']) }
    else { [void] $script:usages.Remove($Usage['Remove']) }
}

function Get-CsOnlinePSTNGateway { Write-Chatter; return $script:kept['Gateway'].Values }
function Get-CsOnlineVoiceRoute { Write-Chatter; return $script:kept['Route'].Values }
function Get-CsOnlineVoiceRoutingPolicy { Write-Chatter; return $script:kept['Policy'].Values }
function Get-CsTenantDialPlan { Write-Chatter; return $script:kept['DialPlan'].Values }

function New-CsOnlinePSTNGateway {
    param([string] $Fqdn, [int] $SipSignalingPort, [bool] $Enabled, [bool] $ForwardPai, [bool] $MediaBypass,
        $MaxConcurrentSessions)
    Write-Chatter
    Add-Kept 'Gateway' $Fqdn @{ SipSignalingPort = $SipSignalingPort; Enabled = $Enabled; ForwardPai = $ForwardPai
        MediaBypass = $MediaBypass; MaxConcurrentSessions = $MaxConcurrentSessions } ''
}

function New-CsOnlineVoiceRoute {
    param([string] $Identity, [string] $NumberPattern, $OnlinePstnGatewayList, $OnlinePstnUsages)
    Write-Chatter
    Add-Kept 'Route' $Identity @{ NumberPattern = $NumberPattern
        OnlinePstnGatewayList = Get-Changed @() $OnlinePstnGatewayList
        OnlinePstnUsages = Get-Changed @() $OnlinePstnUsages } ''
}

function Set-CsOnlineVoiceRoute {
    param([string] $Identity, [string] $NumberPattern, $OnlinePstnGatewayList, $OnlinePstnUsages)
    Write-Chatter
    $row = Find-Kept 'Route' $Identity
    if ($null -eq $row) { return }
    $row.NumberPattern = $NumberPattern
    $row.OnlinePstnGatewayList = Get-Changed $row.OnlinePstnGatewayList $OnlinePstnGatewayList
    $row.OnlinePstnUsages = Get-Changed $row.OnlinePstnUsages $OnlinePstnUsages
}

function New-CsOnlineVoiceRoutingPolicy {
    param([string] $Identity, $OnlinePstnUsages)
    Write-Chatter
    Add-Kept 'Policy' $Identity @{ OnlinePstnUsages = Get-Changed @() $OnlinePstnUsages } 'Tag:'
}

function New-CsVoiceNormalizationRule {
    param([string] $Parent, [string] $Name, [string] $Pattern, [string] $Translation, [bool] $IsInternalExtension,
        [switch] $InMemory)
    Write-Chatter
    return [pscustomobject]@{ Name = $Name; Pattern = $Pattern; Translation = $Translation
        IsInternalExtension = $IsInternalExtension; Priority = 0 }
}

function New-CsTenantDialPlan {
    param([string] $Identity, $NormalizationRules)
    Write-Chatter
    Add-Kept 'DialPlan' $Identity @{ NormalizationRules = Get-Changed @() $NormalizationRules } 'Tag:'
}

function Remove-Kept([string] $kind, [string] $name) {
    Write-Chatter
    if ($null -ne (Find-Kept $kind $name)) { $script:kept[$kind].Remove(($name -replace '^Tag:', '')) }
}

function Remove-CsOnlinePSTNGateway {
    param([string] $Identity)
    Remove-Kept 'Gateway' $Identity
}

function Remove-CsOnlineVoiceRoute {
    param([string] $Identity)
    Remove-Kept 'Route' $Identity
}

function Remove-CsOnlineVoiceRoutingPolicy {
    param([string] $Identity)
    Remove-Kept 'Policy' $Identity
}

function Remove-CsTenantDialPlan {
    param([string] $Identity)
    Remove-Kept 'DialPlan' $Identity
}


Export-ModuleMember -Function '*-Cs*', 'Connect-MicrosoftTeams'
