#compdef kvroute
# zsh completion of kvroute: subcommands, their flags as they say themselves, file names.
local -a names flags
if (( CURRENT == 2 )); then
  names=(${(f)"$(kvroute --help 2> /dev/null | awk '/^Subcommands:/ { on = 1; next } on && NF { name = $1; $1 = ""; sub(/^ /, ""); print name ":" $0 }')"})
  _describe command names
elif [[ ${words[CURRENT]} == -* ]]; then
  flags=(${(f)"$(kvroute ${words[2]} --help 2> /dev/null | grep -oE -- '--[a-z][a-z0-9-]*' | sort -u)"})
  compadd -a flags
else
  _files
fi
