#!/bin/sh
# Writes the mapping file that sends one API key to one llama-server, and sets aside every other file
# that holds the same key. Owns: the file's text, its atomic appearance, the rotation. Refuses: a key
# that no HTTP header could carry. Invariant: once a run has ended, its key is in the folder, whatever
# ran beside it; and at no moment is the key an argument of another program, in its environment, or
# in the name of a file.
#
# POSIX sh with sed, awk, find, mktemp, mv, chmod and one of sha256sum, shasum, openssl.

# Tracing would print the key, exporting would hand it to every child.
{ set +x +a; } 2>/dev/null
set -eu
LC_ALL=C
export LC_ALL
umask 077

PORT=
SERVICE=
MAPPINGS=/etc/traefik/mappings
HOST=http://127.0.0.1
HASH=
KEY_FILE=
SCRATCH=
LOCK_FOLDER=
LOCK_HOLDER=
# A variable that came from the environment stays exported when assigned: forget such names first.
unset api_key escaped rule rest environment_key
api_key=
environment_key=${CONCLAVE_API_KEY:-}
unset CONCLAVE_API_KEY

LOCK_WAIT_SECONDS=60

usage() {
    cat <<USAGE
Usage: $0 --port <port> --service <service> --api_key <api_key> [--mappings <mappings>] [--host <host>]
Generate a Traefik mapping YAML file.

Arguments:
  --port      Port number of target
  --service   Traefik service name
  --api_key   API key for routing (other users of this machine can see it in the process list)
  --mappings  Directory to output the mapping file (default: /etc/traefik/mappings)
  --host      Target host (default: http://127.0.0.1)
  --api_key_file  File that holds the key alone, or - for standard input
  --hash      Write the key's SHA-256 instead of the key (Conclave reads this, Traefik does not)
  --help      Show this text

The key comes from --api_key_file, from --api_key, or else from the environment variable CONCLAVE_API_KEY.
Exit status: 0 done, 1 the call is wrong or the folder is missing, 2 the work could not be done.
USAGE
}

# The call is wrong: say what, how to mend it, and show the usage.
refuse() {
    printf 'Error: %s\n' "$1" >&2
    usage
    exit 1
}

die() {
    printf 'Error: %s\n' "$2" >&2
    exit "$1"
}

main() {
    read_arguments "$@"
    check_arguments
    read_key
    check_key

    printf "Creating mapping file '%s' for Traefik service '%s' on '%s'\n" \
        "$MAPPINGS/$SERVICE.yml" "$SERVICE" "$HOST:$PORT"
    [ -d "$MAPPINGS" ] || die 1 "Mapping directory does not exist at $MAPPINGS"
    output=$MAPPINGS/$SERVICE.yml
    [ ! -d "$output" ] || die 1 "$output is a directory; remove it or choose another --service"

    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    lock
    escaped=$(escape_key)
    key_sha256=$(hash_key)
    write_scratch
    others=$(find_other_holders)
    if [ -n "$others" ]; then
        printf 'Rotating these other mapping files with same API_KEY:\n%s\n' "$others"
        # The new file first: between two renames the key then has two homes, never none.
        publish
        rotate
        echo "Done rotating"
    else
        echo "Good - API_KEY not found in any other mapping files."
        publish
    fi
    # Without flock a lock can be broken under a run that slept for a minute, and its file be set aside.
    [ -f "$output" ] || die 2 "$output was taken away by another run for the same key; run this again"
    printf 'Generated mapping file: %s\n' "$output"
}

read_arguments() {
    key_flags=0
    while [ "$#" -gt 0 ]; do
        case $1 in
            --help) usage; exit 0 ;;
            --hash) HASH=yes; shift; continue ;;
            --port | --service | --api_key | --api_key_file | --mappings | --host) ;;
            *) refuse "Unknown parameter passed: ${1%%=*}" ;;
        esac
        [ "$#" -ge 2 ] || refuse "$1 needs a value after it."
        case $1 in
            --port) PORT=$2 ;;
            --service) SERVICE=$2 ;;
            --api_key) api_key=$2; key_flags=$((key_flags + 1)) ;;
            --api_key_file) KEY_FILE=$2; key_flags=$((key_flags + 1)) ;;
            --mappings) MAPPINGS=$2 ;;
            --host) HOST=$2 ;;
        esac
        shift 2
    done
    [ "$key_flags" -le 1 ] || refuse "--api_key and --api_key_file exclude each other; give one of them, once."
}

check_arguments() {
    if [ -z "$PORT" ] || [ -z "$SERVICE" ] || [ -z "$api_key$KEY_FILE$environment_key" ]; then
        refuse "--port, --service, and --api_key are required."
    fi
    case $PORT in
        *[!0-9]* | ??????* | 0*) refuse "--port must be a number from 1 to 65535, not '$PORT'." ;;
    esac
    [ "$PORT" -le 65535 ] || refuse "--port must be a number from 1 to 65535, not '$PORT'."

    SERVICE=$(printf '%s' "$SERVICE" | tr '\n' '_' | sed 's/[^A-Za-z0-9._-]/_/g')
    case $SERVICE in
        .*) refuse "--service must not begin with a dot: the proxy ignores hidden files ('$SERVICE')." ;;
    esac
    case $HOST in
        *[!!-~]* | *[\"\\]*) refuse "--host must be an address such as http://127.0.0.1, without blanks, quotes or backslashes." ;;
        ?*://?*) HOST=${HOST%/} ;;
        *) refuse "--host must begin with its scheme, as in http://127.0.0.1, not '$HOST'." ;;
    esac
    case $MAPPINGS in
        /) ;;
        -*) MAPPINGS=./${MAPPINGS%/} ;;
        *) MAPPINGS=${MAPPINGS%/} ;;
    esac
}

# Sets api_key with builtins alone.
read_key() {
    case $(command -v printf) in
        */*) die 2 "this shell runs printf as a program, which would show the key; use dash, bash or busybox sh" ;;
    esac
    if [ "$KEY_FILE" = - ]; then
        read_key_line
    elif [ -n "$KEY_FILE" ]; then
        { [ -r "$KEY_FILE" ] && [ ! -d "$KEY_FILE" ]; } || die 1 "--api_key_file: cannot read $KEY_FILE"
        read_key_line <"$KEY_FILE"
    elif [ -z "$api_key" ]; then
        api_key=$environment_key
    fi
}

read_key_line() {
    rest=
    IFS= read -r api_key || :
    api_key=${api_key%"$(printf '\r')"}
    [ ! -t 0 ] || return 0
    if IFS= read -r rest || [ -n "$rest" ]; then
        die 1 "the key's file must hold one line, the key; it holds more"
    fi
}

check_key() {
    [ -n "$api_key" ] || die 1 "the API key is empty"
    case $api_key in
        *[!!-~]*) die 1 "the API key may hold printable ASCII only: no blank, newline, control character or accent" ;;
    esac
}

# One run at a time in a folder. flock on the folder itself is let go by the kernel whenever its holder
# ends, so nothing can be left behind. Where flock is missing, or the file system refuses it (NFS), a
# folder made with mkdir stands in.
lock() {
    if command -v flock >/dev/null 2>&1; then
        exec 9<"$MAPPINGS"
        status=0
        flock -x -E 75 -w "$LOCK_WAIT_SECONDS" 9 2>/dev/null || status=$?
        [ "$status" -ne 0 ] || return 0
        [ "$status" -ne 75 ] || die 2 "another run has held $MAPPINGS for $LOCK_WAIT_SECONDS seconds; see: fuser $MAPPINGS"
        # busybox's flock knows neither -E nor -w.
        if flock -x 9 2>/dev/null; then return 0; fi
    fi
    lock_by_mkdir
}

# A holder that was killed leaves its folder behind: whoever has watched one and the same holder for the
# whole wait takes the folder away. A holder that merely slept finds out at its end (see main).
lock_by_mkdir() {
    candidate=$MAPPINGS/.create-mapping.lock
    watched=
    waited_tenths=0
    until mkdir "$candidate" 2>/dev/null; do
        [ -w "$MAPPINGS" ] || die 2 "cannot write to $MAPPINGS; run this as its owner"
        holder=unknown
        { IFS= read -r holder <"$candidate/holder"; } 2>/dev/null || :
        [ "$holder" = "$watched" ] || waited_tenths=0
        watched=$holder
        if [ "$waited_tenths" -ge $((LOCK_WAIT_SECONDS * 10)) ]; then
            printf 'Warning: taking away the lock of a run that seems to have died (%s)\n' "$watched" >&2
            rm -f "$candidate/holder"
            rmdir "$candidate" 2>/dev/null || :
            waited_tenths=0
        fi
        if sleep 0.1 2>/dev/null; then
            waited_tenths=$((waited_tenths + 1))
        else
            sleep 1
            waited_tenths=$((waited_tenths + 10))
        fi
    done
    LOCK_FOLDER=$candidate
    LOCK_HOLDER="process $$ since $(date +%Y%m%d-%H%M%S)"
    printf '%s\n' "$LOCK_HOLDER" >"$LOCK_FOLDER/holder"
}

clean_up() {
    [ -z "$SCRATCH" ] || rm -f "$SCRATCH"
    [ -n "$LOCK_FOLDER" ] || return 0
    # It may have been taken away and belong to another run by now.
    holder=
    { IFS= read -r holder <"$LOCK_FOLDER/holder"; } 2>/dev/null || :
    if [ "$holder" = "$LOCK_HOLDER" ]; then
        rm -f "$LOCK_FOLDER/holder"
        rmdir "$LOCK_FOLDER" 2>/dev/null || :
    fi
}

# The key as it stands in a pattern in backticks in a double-quoted YAML string. The three characters
# that would end one of these layers become \x escapes, so that no layer needs quoting of its own.
escape_key() {
    printf '%s\n' "$api_key" |
        sed -e 's/\\/\\\\x5c/g' -e 's/[].[^$*+?(){}|]/\\\\&/g' -e 's/`/\\\\x60/g' -e 's/"/\\\\x22/g'
}

hash_key() {
    if command -v sha256sum >/dev/null 2>&1; then
        set -- sha256sum
    elif command -v shasum >/dev/null 2>&1; then
        set -- shasum -a 256
    elif command -v openssl >/dev/null 2>&1; then
        set -- openssl dgst -sha256 -r
    else
        die 2 "no sha256sum, shasum or openssl found; install one of them"
    fi
    digest=$(printf '%s' "$api_key" | "$@")
    digest=${digest%% *}
    [ "${#digest}" -eq 64 ] || die 2 "$1 did not answer with a SHA-256"
    printf '%s\n' "$digest"
}

write_scratch() {
    # shellcheck disable=SC2016 # the backticks are the rule's, and stay as they are
    if [ -n "$HASH" ]; then
        rule='KeySha256(`'$key_sha256'`)'
    else
        rule='HeaderRegexp(`Authorization`, `^Bearer '$escaped'$`)'
    fi
    # The leading dot hides the unfinished file from every watcher.
    SCRATCH=$(mktemp "$MAPPINGS/.create-mapping.XXXXXX") || die 2 "cannot write to $MAPPINGS; run this as its owner"
    name=$(yaml_name)
    printf '%s\n' "http:" "  routers:" "    $name:" "      rule: \"$rule\"" "      service: $name" \
        "      entryPoints:" "        - llama-servers" "" "  services:" "    $name:" "      loadBalancer:" \
        "        servers:" "          - url: \"$HOST:$PORT\"" >"$SCRATCH" || die 2 "cannot write $SCRATCH"
    chmod 640 "$SCRATCH"
}

# YAML reads some bare words as something other than text.
yaml_name() {
    case $SERVICE in
        [!A-Za-z_]* | [Nn] | [Yy] | [Nn][Oo] | [Oo][Nn] | [Yy][Ee][Ss] | [Oo][Ff][Ff] | [Tt][Rr][Uu][Ee] | \
            [Ff][Aa][Ll][Ss][Ee] | [Nn][Uu][Ll][Ll]) printf '"%s"\n' "$SERVICE" ;;
        *) printf '%s\n' "$SERVICE" ;;
    esac
}

# Prints every other mapping file with this key, whichever way it is written there. awk gets the key on
# its standard input, and the names of the files after it, so that any number of files is one process.
find_other_holders() {
    {
        printf '%s\n' "$MAPPINGS" "$SERVICE.yml" "$key_sha256"
        print_needles
        echo
        find "$MAPPINGS" \( -type f -o -type l \) \( -name '*.yml' -o -name '*.yaml' \)
    } | awk '
        NR == 1 { prefix = length($0) + 1; next }
        NR == 2 { own = "/" $0; next }
        NR == 3 { digest = $0; next }
        !listing { if ($0 == "") listing = 1; else needle[++needles] = $0; next }
        {
            name = substr($0, prefix)
            if (name ~ /\/\./ || substr(name, length(name) - length(own) + 1) == own) next
            if (holds($0)) print
        }
        function holds(file,    line, i, got, found) {
            while (!found && (got = (getline line < file)) > 0) {
                if (line ~ /^[ \t]*#/) continue
                found = index(tolower(line), digest)
                for (i = 1; i <= needles && !found; i++) found = index(line, needle[i])
            }
            if (got < 0) print "Warning: cannot read " file ", not checked for the same API_KEY" | "cat >&2"
            close(file)
            return found
        }'
}

# Each form begins and ends with something that no key continues, so API_KEY-1 is not found in API_KEY-10.
print_needles() {
    # shellcheck disable=SC2016 # as above
    printf '^Bearer %s$`\n' "$escaped" "$(printf '%s\n' "$escaped" | sed 's/\\\\/\\/g')"
    # Unescaped, as the original wrote it. With a backslash it would be another key, escaped.
    case $api_key in
        *[\\\`]*) ;;
        *)
            # shellcheck disable=SC2016 # as above
            printf '^Bearer %s$`\n^Bearer %s$"\n^Bearer %s$\\"\n' "$api_key" "$api_key" "$api_key"
            # shellcheck disable=SC2016 # as above
            printf '`Bearer %s`\nKey(`%s`)\nkey(`%s`)\nKEY(`%s`)\n' "$api_key" "$api_key" "$api_key" "$api_key"
            ;;
    esac
}

publish() {
    mv -f "$SCRATCH" "$output" || die 2 "cannot write $output"
    SCRATCH=
}

rotate() {
    timestamp=$(date +%Y%m%d-%H%M%S)
    printf '%s\n' "$others" | while IFS= read -r file; do
        backup=$file.bak.$timestamp
        copies=0
        while [ -e "$backup" ] || [ -L "$backup" ]; do
            copies=$((copies + 1))
            backup=$file.bak.$timestamp.$copies
        done
        if [ "$(grep -c '^[[:space:]]*rule:' "$file")" -gt 1 ]; then
            printf 'Warning: %s held other routers as well, which stop working now\n' "$file" >&2
        fi
        mv "$file" "$backup" || die 2 "cannot rename $file, which still holds the same API_KEY"
        printf 'Rotated %s -> %s\n' "$file" "$backup"
    done
}

main "$@"
