# bash completion of kvroute: subcommands, their flags as they say themselves, file names.
_kvroute() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
  if [ "$COMP_CWORD" -eq 1 ]; then
    local names
    names=$(kvroute --help 2> /dev/null | awk '/^Subcommands:/ { on = 1; next } on && NF { print $1 }')
    mapfile -t COMPREPLY < <(compgen -W "$names --help --version" -- "$word")
  elif [ "$previous" = --policy ]; then
    mapfile -t COMPREPLY < <(compgen -W "work lmetric lpwl prefix least_loaded round_robin random" -- "$word")
  elif [[ $word == -* ]]; then
    local flags
    flags=$(kvroute "$command" --help 2> /dev/null | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u)
    mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$word")
  else
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
  fi
}
complete -o filenames -F _kvroute kvroute
