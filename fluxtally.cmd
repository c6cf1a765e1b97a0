@echo off
rem Runs a Fluxtally command from this checkout, and builds it first where it is missing or older than its sources.
rem What the build says goes to standard error; standard output belongs to the command. Options for Maven: MAVEN_ARGS.
setlocal

set "ROOT=%~dp0"
set "ROOT=%ROOT:~0,-1%"
set "STAMP=%ROOT%\cli\target\launcher.stamp"

if defined JAVA_HOME goto :home
set "JAVA=java.exe"
where java.exe >nul 2>nul && where javac.exe >nul 2>nul && goto :found
>&2 echo fluxtally: no JDK found: install a JDK, version 17 or later, or set JAVA_HOME to one
exit /b 1

:home
set "JAVA=%JAVA_HOME%\bin\java.exe"
if exist "%JAVA_HOME%\bin\javac.exe" goto :found
>&2 echo fluxtally: JAVA_HOME is %JAVA_HOME%, where there is no bin\javac.exe: set it to a JDK, version 17 or later
exit /b 1

:found
if not exist "%STAMP%" goto :build
if not exist "%ROOT%\cli\target\classes" goto :build
powershell -NoProfile -Command "$t = (Get-Item -LiteralPath $env:STAMP).LastWriteTimeUtc; $dirs = Get-ChildItem -LiteralPath $env:ROOT -Directory; $files = @(Get-Item -LiteralPath (Join-Path $env:ROOT 'pom.xml')); foreach ($d in $dirs) { $p = Join-Path $d.FullName 'pom.xml'; if (Test-Path -LiteralPath $p) { $files += Get-Item -LiteralPath $p }; $s = Join-Path $d.FullName 'src\main'; if (Test-Path -LiteralPath $s) { $files += Get-ChildItem -LiteralPath $s -Recurse } }; if ($files | Where-Object { $_.LastWriteTimeUtc -gt $t } | Select-Object -First 1) { exit 1 } else { exit 0 }"
if errorlevel 1 goto :build
goto :run

:build
powershell -NoProfile -Command "$v = (& $env:JAVA -version 2>&1 | Out-String); if ($v -match 'version \"(\d+)' -and [int]$Matches[1] -ge 17) { exit 0 } else { exit 1 }"
if not errorlevel 1 goto :make
>&2 echo fluxtally: %JAVA% is older than version 17: install a JDK, version 17 or later, or set JAVA_HOME to one
exit /b 1

:make
>&2 echo fluxtally: building, which on first use also fetches the libraries ...
if exist "%ROOT%\cli\target\lib" rmdir /s /q "%ROOT%\cli\target\lib"
if exist "%STAMP%" del "%STAMP%"
if not exist "%ROOT%\cli\target" mkdir "%ROOT%\cli\target"
rem From here on an edit makes the stamp old, even one that the running build still sees.
>"%STAMP%.new" echo %JAVA%
pushd "%ROOT%"
call mvnw.cmd -q -B -ntp -pl cli -am package "-P!nullness" -Dfluxtally.launcher.skip=false -Dfluxtally.failOnWarning=false -Denforcer.skip=true -Dmaven.test.skip=true -Dmaven.javadoc.skip=true -Dmaven.source.skip=true -Djacoco.skip=true <nul 1>&2
if errorlevel 1 goto :failed
popd
move /y "%STAMP%.new" "%STAMP%" >nul
goto :run

:failed
popd
>&2 echo fluxtally: the build failed, as said above
exit /b 1

:run
"%JAVA%" -cp "%ROOT%\cli\target\classes;%ROOT%\cli\target\lib\*" io.fluxtally.cli.Fluxtally %*
exit /b %ERRORLEVEL%
