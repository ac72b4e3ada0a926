# Runs calls of Teams cmdlets for one organisation, in one process. The portal starts it as
#     pwsh -NoLogo -NoProfile -NonInteractive -File session.ps1
# and speaks JSON with it, one line each way (m365/powershell/process.py has the other side):
#   in   {"mark", "module", "tokens": [graph, teams] or none, "tenant", "environment", "most"}   first, once
#        {"number", "call": {"cmdlet", "parameters", "fields", "before"?}, "most"?}        then each call
#        the end of standard input                                                         then it ends
#   out  MARK LENGTH {"ready"}            or {"fault", "stage"}, and it ends
#        MARK LENGTH {"number", "row"}    for each row, then {"number", "end"} or {"number", "fault"}
# What modules print by themselves lacks the mark, which nobody but the portal knows, so it is never an answer.
# Values arrive as JSON and are bound as parameters; none is ever parsed as PowerShell.
& {
    $ErrorActionPreference = 'Stop'
    # Modules look at the global ones.
    $global:ProgressPreference = 'SilentlyContinue'
    $global:WarningPreference = 'SilentlyContinue'
    $global:InformationPreference = 'SilentlyContinue'
    $global:ConfirmPreference = 'None'

    $source = [System.IO.StreamReader]::new(
        [Console]::OpenStandardInput(), [System.Text.UTF8Encoding]::new($false), $false)
    $sink = [Console]::OpenStandardOutput()

    function Send([System.Collections.IDictionary] $answer) {
        $json = ConvertTo-Json -InputObject $answer -Depth 10 -Compress -EscapeHandling EscapeNonAscii
        # A line of its own, whatever a module has left on the last one.
        $bytes = [System.Text.Encoding]::ASCII.GetBytes("`n$mark $($json.Length) $json`n")
        $sink.Write($bytes, 0, $bytes.Length)
        $sink.Flush()
    }

    function ConvertTo-Value([System.Text.Json.JsonElement] $element) {
        $kind = "$($element.ValueKind)"
        if ($kind -eq 'String') { return $element.GetString() }
        if ($kind -eq 'Number') { return $element.GetInt64() }
        if ($kind -eq 'True') { return $true }
        if ($kind -eq 'False') { return $false }
        if ($kind -eq 'Array') {
            $list = [System.Collections.Generic.List[object]]::new()
            foreach ($item in $element.EnumerateArray()) { $list.Add((ConvertTo-Value $item)) }
            return , $list.ToArray()
        }
        if ($kind -eq 'Object') {
            foreach ($property in $element.EnumerateObject()) {
                if ($property.Name -eq 'call') {
                    $made = Invoke-Call $property.Value
                    if ($null -eq $made) { throw 'What a parameter needs could not be made.' }
                    return $made
                }
                if ($property.Name -eq 'table') { return (ConvertTo-Table $property.Value) }
                if ($property.Name -eq 'made') {
                    $made = $kept[$property.Value.GetProperty('name').GetString()]
                    $part = $property.Value.GetProperty('property').GetString()
                    if ($part -and $null -ne $made) { $made = $made.PSObject.Properties[$part].Value }
                    if ($null -eq $made) { throw 'What a parameter needs could not be made.' }
                    return $made
                }
            }
        }
        return $null
    }

    function ConvertTo-Table([System.Text.Json.JsonElement] $element) {
        $table = @{}
        foreach ($property in $element.EnumerateObject()) {
            $table[$property.Name] = ConvertTo-Value $property.Value
        }
        return $table
    }

    function Invoke-Call([System.Text.Json.JsonElement] $call) {
        $name = $call.GetProperty('cmdlet').GetString()
        if ($name -cnotmatch '\A(Get|New|Set|Remove|Grant)-Cs[A-Za-z]+\z' -or -not $module.ExportedCommands.ContainsKey($name)) {
            throw [System.Management.Automation.CommandNotFoundException]::new("The module has no $name.")
        }
        $command = $module.ExportedCommands[$name]
        foreach ($property in $call.EnumerateObject()) {
            if ($property.Name -eq 'before') {
                foreach ($earlier in $property.Value.EnumerateArray()) {
                    $kept[$earlier.GetProperty('name').GetString()] = Invoke-Call ($earlier.GetProperty('call'))
                }
            }
        }
        $parameters = ConvertTo-Table ($call.GetProperty('parameters'))
        & $command @parameters 3>$null 4>$null 5>$null 6>$null
    }

    # What is read of a property: text, numbers, lists of such, and objects to a certain depth.
    function ConvertTo-Plain($value, [int] $depth) {
        if ($null -eq $value) { return $null }
        if ($value -is [string] -or $value -is [bool] -or $value -is [int] -or $value -is [long] -or $value -is [double]) {
            return $value
        }
        if ($value -is [datetime]) { return $value.ToUniversalTime().ToString('o') }
        if ($value -is [System.Collections.IEnumerable] -and $value -isnot [System.Collections.IDictionary]) {
            $list = [System.Collections.Generic.List[object]]::new()
            foreach ($item in $value) { $list.Add((ConvertTo-Plain $item ($depth + 1))) }
            return , $list.ToArray()
        }
        if ($value -is [System.ValueType] -or $depth -ge 3) { return "$value" }
        $plain = [ordered]@{}
        foreach ($property in $value.PSObject.Properties) {
            $plain[$property.Name] = ConvertTo-Plain $property.Value ($depth + 1)
        }
        return $plain
    }

    function Send-Row($row, [int] $number, [string[]] $fields) {
        $plain = [ordered]@{}
        foreach ($field in $fields) {
            $property = $row.PSObject.Properties[$field]
            $plain[$field] = if ($null -eq $property) { $null } else { ConvertTo-Plain $property.Value 0 }
        }
        Send ([ordered]@{ number = $number; row = $plain })
    }

    function Get-Fault($record) {
        $status = 0
        $wait = ''
        $exception = $record.Exception
        for ($depth = 0; $depth -lt 5 -and $null -ne $exception -and $status -eq 0; $depth++) {
            $response = $exception.PSObject.Properties['Response']
            if ($null -ne $response -and $null -ne $response.Value) {
                try { $status = [int] $response.Value.StatusCode } catch { $status = 0 }
                try { $wait = "$($response.Value.Headers.RetryAfter)" } catch { $wait = '' }
            }
            $exception = $exception.InnerException
        }
        $message = "$($record.Exception.Message)"
        foreach ($token in $tokens) { $message = $message.Replace($token, '[hidden]') }
        return [ordered]@{
            id = "$($record.FullyQualifiedErrorId)"
            category = "$($record.CategoryInfo.Category)"
            type = $record.Exception.GetType().FullName
            status = $status
            retry_after = $wait
            message = $message.Substring(0, [Math]::Min($message.Length, 2000))
        }
    }

    $tokens = @()
    # What calls made for a later one, by its name.
    $kept = @{}
    $module = $null
    $stage = 'hello'
    $hello = [System.Text.Json.JsonDocument]::Parse($source.ReadLine()).RootElement
    $mark = $hello.GetProperty('mark').GetString()
    try {
        $stage = 'module'
        $tokens = ConvertTo-Value ($hello.GetProperty('tokens'))
        $most = $hello.GetProperty('most').GetInt32()
        $wanted = $hello.GetProperty('module').GetString()
        $module = Import-Module -Name $wanted -PassThru -DisableNameChecking 3>$null 6>$null |
            Where-Object { $_.Name -eq 'MicrosoftTeams' } | Select-Object -Last 1
        if ($null -eq $module) { throw 'The module that was loaded is not MicrosoftTeams.' }
        if ($tokens.Count -gt 0) {
            $stage = 'connect'
            $tenant = $hello.GetProperty('tenant').GetString()
            $connection = @{ AccessTokens = [string[]] $tokens; TenantId = $tenant; LogLevel = 'None' }
            $environment = $hello.GetProperty('environment').GetString()
            if ($environment) { $connection['TeamsEnvironmentName'] = $environment }
            $connected = @(Connect-MicrosoftTeams @connection 3>$null 6>$null)
            $there = "$(($connected | Select-Object -Last 1).TenantId)"
            if (-not $there) { $there = "$((Get-CsTenant).TenantId)" }
            # The last wall between two customers.
            if ($there -ne $tenant) { $stage = 'tenant'; throw 'The session is one of another organisation.' }
        }
        Send ([ordered]@{ ready = [ordered]@{ module = "$($module.Version)"; powershell = "$($PSVersionTable.PSVersion)" } })
    }
    catch {
        Send ([ordered]@{ fault = (Get-Fault $_); stage = $stage })
        exit 3
    }

    while ($null -ne ($line = $source.ReadLine())) {
        $request = [System.Text.Json.JsonDocument]::Parse($line).RootElement
        $number = $request.GetProperty('number').GetInt32()
        try {
            $call = $request.GetProperty('call')
            $kept.Clear()
            $fields = [string[]] (ConvertTo-Value ($call.GetProperty('fields')))
            $count = 0
            $limit = $most
            foreach ($property in $request.EnumerateObject()) {
                if ($property.Name -eq 'most') { $limit = $property.Value.GetInt32() }
            }
            $failed = $null
            # Some of the module's cmdlets write their errors where -ErrorAction Stop does not see them.
            Invoke-Call $call 2>&1 | ForEach-Object {
                if ($_ -is [System.Management.Automation.ErrorRecord]) { $failed = $_ }
                elseif ($fields.Count -gt 0) {
                    if ($count -lt $limit) { Send-Row $_ $number $fields }
                    $count++
                }
            }
            if ($null -ne $failed) { Send ([ordered]@{ number = $number; fault = (Get-Fault $failed) }) }
            else { Send ([ordered]@{ number = $number; end = $count }) }
        }
        catch {
            Send ([ordered]@{ number = $number; fault = (Get-Fault $_) })
        }
    }
}
