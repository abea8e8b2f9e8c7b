# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# bash completion of vhx's programs, by whichever of their names it was found.
# Options are those of --help; here is what values they take.

# The word at the cursor as the shell has it, and those before it: readline cuts words
# at = and : as well.
_vhx_read_line() {
	local line=${COMP_LINE:0:COMP_POINT}

	read -ra before <<<"$line"
	cur=
	[[ $line == *[[:blank:]] ]] || { cur=${before[-1]} && unset "before[-1]"; }
}

# Replaces what is behind the last = or : of the word alone.
_vhx_cut_replies() {
	local kept=

	[[ $COMP_WORDBREAKS != *=* ]] || kept=${cur%"${cur##*[=:]}"}
	COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

# Those of several that fit, behind a beginning. (compgen -W would have the shell
# expand them.)
_vhx_offer() { # beginning words
	local word words

	read -rd '' -a words <<<"$2"
	for word in "${words[@]}"; do
		[[ $word != "${cur#"$1"}"* ]] || COMPREPLY+=("$1$word")
	done
}

_vhx_offer_files() { # beginning
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -P "$1" -- "${cur#"$1"}")
}

_vhx_interfaces() {
	local path

	for path in /sys/class/net/*; do
		echo "${path##*/}"
	done
}

# Options of a program, with = if they have a value.
_vhx_options() { # program
	"$1" --help 2>/dev/null | sed -En \
		's/^ +(-., )?(--[a-z][a-z-]*)(=| [A-Z])?.*/\2\3/; T; s/ .*/=/; p'
}

# Whether a word has to be followed by a value: --port, -p, and not --port=x.
_vhx_takes_value() { # program word
	case $1:$2 in
	*vhx-switch:-[acp] | *vhx-top:-[dsf]) return 0 ;;
	esac
	[[ $2 == --* ]] && _vhx_options "$1" | grep -qxF -e "$2="
}

# A description of a port: kind,key=value,key=value
_vhx_port() { # beginning
	local spec=${cur#"$1"} last head

	if [[ $spec != *,* ]]; then
		compopt -o nospace 2>/dev/null
		_vhx_offer "$1" "vhost-user,path= cuse,node= tap,ifname="
		return
	fi
	last=${spec##*,}
	head=$1${spec%"$last"}
	case $last in
	path=*) _vhx_offer_files "${head}path=" ;;
	ifname=*) _vhx_offer "${head}ifname=" "$(_vhx_interfaces)" ;;
	group=*) _vhx_offer "${head}group=" "$(compgen -g)" ;;
	mrg_rxbuf=*) _vhx_offer "${head}mrg_rxbuf=" "on off" ;;
	memory=*) _vhx_offer "${head}memory=" "any ram" ;;
	mode=*) _vhx_offer "${head}mode=" "0660 0600" ;;
	*=*) ;;
	*)
		compopt -o nospace 2>/dev/null
		case $spec in
		vhost-user,*) _vhx_offer "$head" "path= client queues= mrg_rxbuf= \
			mode= group= memory= name= vlan= trunk= thread=" ;;
		cuse,*) _vhx_offer "$head" "node= mrg_rxbuf= memory= name= vlan= \
			trunk= thread=" ;;
		tap,*) _vhx_offer "$head" "ifname= name= vlan= trunk= thread=" ;;
		esac
		;;
	esac
}

# Of an option, behind what is before it in the word.
_vhx_value() { # program option beginning
	case ${1##*/}:$2 in
	*:--port | vhx-switch:-p) _vhx_port "$3" ;;
	*:--ctl | vhx-switch:-c | *:--rules | *:--root) _vhx_offer_files "$3" ;;
	vhx-pin:--ring) _vhx_offer "$3" "rx tx" ;;
	vhx-pin:--tap) _vhx_offer "$3" "$(_vhx_interfaces)" ;;
	vhx-pin:--user) _vhx_offer "$3" "$(compgen -u)" ;;
	vhx-top:--sort | vhx-top:-s)
		_vhx_offer "$3" "$("$1" --once 2>/dev/null | head -n 1)" ;;
	esac
}

# Names of the ports of a switch that runs.
_vhx_port_names() { # program
	"$1" "${asked[@]}" ctl show ports --json 2>/dev/null |
		grep -o '"name": *"[^"]*"' | cut -d'"' -f4
}

# What a switch is asked, behind "ctl".
_vhx_ctl() { # program words
	case $2 in
	"") _vhx_offer "" "show add del help" ;;
	show) _vhx_offer "" "ports drops queues macs" ;;
	show\ *) _vhx_offer "" "--json" ;;
	add) _vhx_port "" ;;
	del) _vhx_offer "" "$(_vhx_port_names "$1")" ;;
	esac
}

_vhx() { # program
	local cur before=() asked=() i last option

	COMPREPLY=()
	_vhx_read_line
	for ((i = 1; i < ${#before[@]}; i++)); do
		last=${before[i]}
		case $last in
		--ctl=*) asked=("$last") ;;
		--ctl | -c) asked=(--ctl "${before[i + 1]-}") ;;
		esac
		if [[ $last == ctl && $1 == *vhx-switch ]]; then
			last=${before[*]:i + 1}
			_vhx_ctl "$1" "$last"
			_vhx_cut_replies
			return
		fi
		! _vhx_takes_value "$1" "$last" || ((++i < ${#before[@]})) || {
			_vhx_value "$1" "$last" ""
			_vhx_cut_replies
			return
		}
	done
	option=${cur%%=*}
	if [[ $cur == --*=* ]]; then
		_vhx_value "$1" "$option" "$option="
	elif [[ $cur == -* ]]; then
		_vhx_offer "" "$(_vhx_options "$1" | tr -d =)"
	elif [[ $1 == *vhx-switch ]]; then
		_vhx_offer "" ctl
	else
		_vhx_offer "" "$(_vhx_options "$1" | tr -d =)"
	fi
	_vhx_cut_replies
}

complete -o default -F _vhx vhx-switch vhx-top vhx-pin vhx-status
