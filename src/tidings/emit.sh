#!/bin/sh
# Emit an event from a node without Python: write it to the spool, from where `tidings collect`
# moves it into the store.
#
#   emit.sh TYPE [--project P] [--status S] [--strict] [key=value ...]
#
# Keeps promise 4: a job is never hurt. An event that cannot be kept is said on stderr and the exit
# status is 0, or with --strict 75; wrong usage is 2. The file is the one `tidings.spool` writes, and
# source and correlation id are found as `tidings.context` finds them. Values are strings; what a
# field may hold is judged when the event is collected. After a power loss (not a kill) the newest
# events may be missing, as sh cannot sync a directory.
#
# Beside sh it needs awk, cat, date, dd, od and tr. It reads TIDINGS_SPOOL, TIDINGS_HOME,
# TIDINGS_CONTEXT, TIDINGS_CORRELATION_ID, TIDINGS_CAUSATION_ID, TIDINGS_API_URL, TIDINGS_API_KEY
# and the variables of the job.

usage() {
    printf 'emit.sh: %s\nusage: emit.sh TYPE [--project P] [--status S] [--strict] [key=value ...]\n' \
        "$1" >&2
    exit 2
}

fail() {
    printf 'emit.sh: the event was not kept: %s\n' "$1" >&2
    exit "$strict"
}

# What happened. The pairs stay in "$@".
type='' project='' status=success strict=0 option=''
for word do
    shift
    case $option in
    --project) project=$word option='' && continue ;;
    --status) status=$word option='' && continue ;;
    esac
    case $word in
    --project=*) project=${word#*=} ;;
    --status=*) status=${word#*=} ;;
    --project | --status) option=$word ;;
    --strict) strict=75 ;;
    -*) usage "$word is no option" ;;
    *)
        if [ -z "$type" ]; then type=$word && continue; fi
        case ${word%%=*} in
        '' | "$word") usage "$word is not key=value" ;;
        *:) usage "$word: a JSON value needs tidings emit" ;;
        *) set -- "$@" "$word" ;;
        esac
        ;;
    esac
done
[ -z "$option" ] || usage "$option needs a value"
[ -n "$type" ] || usage 'an event needs a type'

# Where it happens. What is looked at later counts more.
is_on() { case $1 in '' | 0 | [Ff][Aa][Ll][Ss][Ee]) return 1 ;; esac; }
part_of() { [ -z "$3" ] || correlation=$1:${2:+$2:}$3; } # SYSTEM [CLUSTER-OR-PROJECT] NUMBER

source=local correlation=''
case $TRACEPARENT in
*[!0-9a-f-]* | ff-* | *-00000000000000000000000000000000-* | *-0000000000000000-* | 00-*-*-*-*) ;;
??-????????????????????????????????-????????????????-?? | \
    ??-????????????????????????????????-????????????????-??-*)
    correlation=${TRACEPARENT#*-} correlation=${correlation%%-*} ;;
esac
if is_on "$CI"; then source=ci; fi
if is_on "$GITLAB_CI"; then
    source=ci && part_of gitlab "$CI_PROJECT_PATH" "$CI_PIPELINE_ID"
fi
if is_on "$GITHUB_ACTIONS"; then
    source=ci && part_of github "$GITHUB_REPOSITORY" "$GITHUB_RUN_ID"
fi
if is_on "$LSB_JOBID"; then source=hpc && part_of lsf '' "$LSB_JOBID"; fi
if is_on "$PBS_JOBID"; then
    job=${PBS_ARRAY_ID:-$PBS_JOBID}
    case $job in *\[*\]*) job="${job%%\[*}[]${job#*\]}" ;; esac # 17[3].server is of 17[].server
    source=hpc && part_of pbs '' "$job"
fi
if is_on "$SLURM_JOB_ID"; then
    source=hpc && part_of slurm "$SLURM_CLUSTER_NAME" "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
fi
host=$(uname -n) user=${LOGNAME:-${USER:-$(id -un)}} pid=$PPID
case $TIDINGS_CONTEXT in [Oo][Ff][Ff]) host='' user='' pid='' ;; esac

# When. Without %N, as on macOS, the time has whole seconds.
now=$(date -u '+%s %Y-%m-%dT%H:%M:%S %N')
seconds=${now%% *} moment=${now#* } moment=${moment% *} nanoseconds=${now##* }
case $nanoseconds in ?????????) ;; *) nanoseconds=000000000 ;; esac
case $nanoseconds in *[!0-9]*) nanoseconds=000000000 ;; esac
case $seconds in '' | *[!0-9]*) fail 'date knows no %s' ;; esac
timestamp=$moment.${nanoseconds%???}Z
milliseconds=$seconds${nanoseconds%??????}
random=$(od -An -N9 -tx1 /dev/urandom | tr -d ' \n')
[ -n "$random" ] || fail '/dev/urandom cannot be read'

# What is written. The id is a UUIDv7 (RFC 9562). LC_ALL=C makes awk take text byte by byte.
event=$(
    LC_ALL=C type=$type project=$project status=$status source=$source timestamp=$timestamp \
        correlation=${TIDINGS_CORRELATION_ID:-$correlation} causation=$TIDINGS_CAUSATION_ID \
        host=$host user=$user pid=$pid milliseconds=$milliseconds random=$random \
        awk '
        function quote(text,    i, letter) {
            printf "\""
            if (text !~ /[\001-\037"\\]/) printf "%s", text
            else for (i = 1; i <= length(text); i++) {
                letter = substr(text, i, 1)
                printf "%s", (letter in escape) ? escape[letter] : letter
            }
            printf "\""
        }
        function field(name, text) {
            printf "%s", comma
            quote(name)
            printf ":"
            quote(text)
            comma = ","
        }
        function known(name, text) { if (text != "") field(name, text) }
        function identifier(name, text) {
            if (length(text) <= 255 && text !~ /[\001-\037\177]/) known(name, text)
        }
        function hex(number,    digits) {
            while (length(digits) < 12) {
                digits = substr("0123456789abcdef", number % 16 + 1, 1) digits
                number = int(number / 16)
            }
            return digits
        }
        BEGIN {
            for (i = 1; i < 32; i++) escape[sprintf("%c", i)] = sprintf("\\u%04x", i)
            escape["\""] = "\\\""
            escape["\\"] = "\\\\"
            m = hex(ENVIRON["milliseconds"])
            r = ENVIRON["random"]
            printf "{"
            field("type", ENVIRON["type"])
            field("project", ENVIRON["project"])
            field("status", ENVIRON["status"])
            field("source", ENVIRON["source"])
            field("timestamp", ENVIRON["timestamp"])
            field("id", substr(m, 1, 8) "-" substr(m, 9) "-7" substr(r, 1, 3) "-8" substr(r, 4, 3) \
                "-" substr(r, 7, 12))
            identifier("correlation_id", ENVIRON["correlation"])
            identifier("causation_id", ENVIRON["causation"])
            printf ",\"payload\":{"
            comma = ""
            for (i = 1; i < ARGC; i++) {
                equals = index(ARGV[i], "=")
                field(substr(ARGV[i], 1, equals - 1), substr(ARGV[i], equals + 1))
            }
            printf "},\"context\":{"
            comma = ""
            known("host", ENVIRON["host"])
            known("user", ENVIRON["user"])
            if (ENVIRON["pid"] != "") printf "%s\"pid\":%d", comma, ENVIRON["pid"]
            print "}}"
        }' "$@"
)
[ -n "$event" ] || fail 'awk could not write it as JSON'

# Where it waits: tmp, fsync, rename.
umask 077
home=${TIDINGS_HOME:-${HOME:+$HOME/.tidings}}
spool=${TIDINGS_SPOOL:-${home:+$home/spool}}
[ -n "$spool" ] || fail 'none of TIDINGS_SPOOL, TIDINGS_HOME and HOME says where the spool is'
file=0$seconds$nanoseconds-$(printf %s "$(uname -n)" | tr -c 'A-Za-z0-9._-' _)-$$-$random.json
[ -d "$spool/tmp" ] && [ -d "$spool/new" ] || mkdir -p -- "$spool/tmp" "$spool/new" ||
    fail "$spool cannot be made; let TIDINGS_SPOOL name another directory"
# Where it is to be forwarded to is written first: the event may be collected at once.
mark=$spool/new/.$file.forward
[ -z "$TIDINGS_API_KEY" ] || [ -z "$TIDINGS_API_URL" ] ||
    printf '%s\n' "$TIDINGS_API_URL" | dd of="$mark" conv=fsync 2>/dev/null ||
    printf '%s\n' "$TIDINGS_API_URL" >"$mark"
printf '%s\n' "$event" | dd of="$spool/tmp/$file" bs=64k conv=fsync 2>/dev/null ||
    printf '%s\n' "$event" | cat >"$spool/tmp/$file" && # where dd cannot sync, as on old BSDs
    mv -f -- "$spool/tmp/$file" "$spool/new/$file" || {
    rm -f -- "$spool/tmp/$file" "$mark"
    fail "$spool cannot be written; free space there, or let TIDINGS_SPOOL name another directory"
}
