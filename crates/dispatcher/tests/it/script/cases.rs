//! The scripts that misbehave.

/// One of them. Its argument is a number that only its processes have in their arguments.
pub(super) struct Case {
    pub(super) kind: &'static str,
    pub(super) does: &'static str,
    pub(super) script: &'static str,
    pub(super) ends: Ends,
}

/// When the call ends.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    AtOnce,
    Limit,
    Timeout,
    AfterTimeout,
}

use Ends::{AfterTimeout, AtOnce, Limit, Timeout};

const fn case(kind: &'static str, does: &'static str, ends: Ends, script: &'static str) -> Case {
    Case { kind, does, script, ends }
}

pub(super) const CASES: [Case; 40] = [
    // Time.
    case("hangs", "sleeps and never ends", Timeout, "sleep 1000.$1"),
    case("deaf", "ignores SIGTERM, SIGINT and SIGHUP", Timeout, "trap '' TERM INT HUP; while :; do sleep 1.$1; done"),
    case("asleep", "stops itself by SIGSTOP", Timeout, "kill -STOP $$"),
    case("asleep, all", "stops its whole group", Timeout, "sleep 1000.$1 & kill -STOP 0"),
    case("waits for input", "reads the terminal that it does not have", AtOnce, "read -r x < /dev/tty; exit 3"),
    case("waits for a pipe", "opens a FIFO that nobody writes to", Timeout, "mkfifo pipe; read -r x < pipe"),
    // Processor and memory.
    case("busy", "computes without end", Limit, "while :; do :; done"),
    case("busy and deaf", "the same, and ignores SIGXCPU", Timeout, "trap '' XCPU; while :; do :; done"),
    case("busy child", "has a child compute", Limit, "sh -c 'while :; do :; done' busy$1; exit"),
    case("greedy", "allocates without end", AtOnce, "exec tail /dev/zero"),
    case("many files open", "opens 100 files at once", AtOnce, "exec tee $(seq 100) < /dev/null"),
    // Output and input.
    case("endless output", "writes to standard output without end", Timeout, "exec yes $1"),
    case(
        "10 GB of output",
        "writes 10 GB to standard output and standard error",
        Timeout,
        "head -c 10G /dev/zero >&2 & head -c 10G /dev/zero; wait; sleep 1000.$1",
    ),
    case("no text", "writes 1 MB of random bytes", AtOnce, "head -c 1000000 /dev/urandom"),
    case("closed output", "closes its output and goes on", Timeout, "exec >&- 2>&-; sleep 1000.$1"),
    case("closed input", "closes its input unread", AtOnce, "exec 0<&-; exit 0"),
    case("talkative child", "ends, and leaves a child that writes without end", AtOnce, "yes $1 & exit 0"),
    // Files.
    case("10 GB file", "writes 10 GB to a file", Limit, "exec head -c 10G /dev/zero > big"),
    case("many files", "leaves 2000 files", AtOnce, "for n in $(seq 2000); do : > $n; done"),
    case("deep", "leaves 400 directories in each other", AtOnce, "for n in $(seq 400); do mkdir d && cd d && : > file; done"),
    case("barred", "takes all rights from what it leaves", AtOnce, "mkdir a a/b; : > a/b/c; chmod 0 a/b/c a/b a ."),
    case("temporary files", "leaves what mktemp made", AtOnce, "mktemp; mktemp -d"),
    case("no directory", "removes its own working directory", AtOnce, "rmdir \"$TMPDIR\""),
    case(
        "another directory",
        "puts a link to /etc in the place of its directory",
        AtOnce,
        "rmdir \"$TMPDIR\" && ln -s /etc \"$TMPDIR\"",
    ),
    case(
        "writing child",
        "ends, and leaves a child that makes files",
        AtOnce,
        "(while :; do : > f$(date +%N)$1; done) > /dev/null 2>&1 & sleep 0.1",
    ),
    // Processes.
    case("child", "ends, and leaves a child with its output open", AtOnce, "sleep 1000.$1 &"),
    case(
        "silent child",
        "ends, and leaves a child that has closed everything",
        AtOnce,
        "sleep 1000.$1 < /dev/null > /dev/null 2>&1 &",
    ),
    case("nohup", "ends, and leaves a child that ignores SIGHUP", AtOnce, "nohup sleep 1000.$1 > /dev/null 2>&1 &"),
    case(
        "session",
        "ends, and leaves a child in a session of its own",
        AtOnce,
        "setsid sleep 1000.$1 > /dev/null 2>&1 & sleep 0.2",
    ),
    case(
        "daemon",
        "ends, and leaves a daemon: forked twice, another session",
        AtOnce,
        "(setsid sh -c \"sleep 1000.$1 &\" > /dev/null 2>&1 &); sleep 0.2",
    ),
    case(
        "nameless daemon",
        "the same, with an empty environment",
        AtOnce,
        "(env -i setsid -f sleep 1000.$1 > /dev/null 2>&1 &); sleep 0.2",
    ),
    case(
        "many children",
        "has 300 children in 300 sessions",
        Timeout,
        "for n in $(seq 300); do setsid sleep 1000.$1 & done; wait",
    ),
    case(
        "hydra",
        "starts itself again in a new session and ends, over and over",
        AtOnce,
        "[ -z \"$2\" ] && sleep 0.1; setsid \"$0\" $1 again > /dev/null 2>&1 & exit 0",
    ),
    case("short-lived", "leaves 300 orphans that end at once", AtOnce, "for n in $(seq 300); do (true &); done"),
    // Signals.
    case("suicide", "kills itself", AtOnce, "kill -KILL $$"),
    case("suicide, all", "kills its whole group", AtOnce, "sleep 1000.$1 & kill -KILL 0"),
    case("crash", "ends by SIGSEGV", AtOnce, "kill -SEGV $$"),
    case(
        "signals",
        "sends SIGTERM, SIGINT and SIGHUP to who watches over it",
        AtOnce,
        "kill -TERM $PPID; kill -INT $PPID; kill -HUP $PPID; sleep 0.1",
    ),
    case("murder", "kills who watches over it", AtOnce, "setsid sleep 1000.$1 & sleep 0.1; kill -KILL $PPID; sleep 1000.$1"),
    case("kidnapping", "stops who watches over it", AfterTimeout, "kill -STOP $PPID; sleep 1000.$1"),
];
