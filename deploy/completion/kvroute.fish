# fish completion of kvroute: subcommands, their flags as they say themselves, file names.
complete -c kvroute -n __fish_use_subcommand -f -a '(kvroute --help 2> /dev/null | awk \'/^Subcommands:/ { on = 1; next } on && NF { name = $1; $1 = ""; sub(/^ /, ""); print name "\t" $0 }\')'
complete -c kvroute -n 'not __fish_use_subcommand' -a '(kvroute (commandline -opc)[2] --help 2> /dev/null | grep -oE -- "--[a-z][a-z0-9-]*" | sort -u)'
