/**
 * Scripts that complete the command line in a shell. Each asks `fqvit complete -- WORDS` for lines
 * `VALUE<tab>DESCRIPTION`, and passes the words as they are: a shell must not run what is typed
 * before Enter is pressed, as the scripts of @bomb.sh/tab do.
 */

const BASH = `# bash completion for fqvit
__fqvit_complete() {
  local line word words=() cur="\${COMP_WORDS[COMP_CWORD]}"
  [[ $cur == = ]] && cur=''
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    [[ $word == = ]] || words+=("$word")
  done
  COMPREPLY=()
  while IFS= read -r line; do
    line="\${line%%$'\\t'*}"
    [[ $line != :* && $line == "$cur"* ]] && COMPREPLY+=("$line")
  done < <(fqvit complete -- "\${words[@]}" "$cur" 2>/dev/null)
}
complete -o default -F __fqvit_complete fqvit
`;

const ZSH = `#compdef fqvit
# zsh completion for fqvit
_fqvit() {
  local line
  local -a values
  for line in "\${(@f)$(fqvit complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    [[ -z $line || $line == :* ]] && continue
    values+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
  done
  (( $#values )) && _describe fqvit values || _files
}
compdef _fqvit fqvit
`;

const FISH = `# fish completion for fqvit
function __fqvit_complete
  set -l words (commandline -opc)
  set -l current (commandline -ct)
  fqvit complete -- $words[2..-1] "$current" 2>/dev/null | string match -rv '^:'
end
complete -c fqvit -a '(__fqvit_complete)'
`;

const POWERSHELL = `# PowerShell completion for fqvit
Register-ArgumentCompleter -Native -CommandName fqvit -ScriptBlock {
  param($wordToComplete, $commandAst)
  $words = @($commandAst.CommandElements | Select-Object -Skip 1 | ForEach-Object { $_.Extent.Text })
  if ($wordToComplete -eq '') { $words += '' }
  & fqvit complete '--' @words 2>$null | Where-Object { $_ -notmatch '^:' } | ForEach-Object {
    $value, $about = $_ -split "\`t", 2
    if ($value.StartsWith($wordToComplete)) {
      if (-not $about) { $about = $value }
      [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $about)
    }
  }
}
`;

export const COMPLETIONS: Readonly<Record<string, string>> = {
  bash: BASH,
  zsh: ZSH,
  fish: FISH,
  powershell: POWERSHELL,
};

export const SHELLS = Object.keys(COMPLETIONS);
