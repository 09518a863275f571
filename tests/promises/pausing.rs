//! `sandbox pause` and `resume`: what is paused does nothing, goes on where it was, and ends as if it ran.

use crate::live::{HOLD, Live, eventually, group, has_limits, lives, without_limits};
use crate::running::{PLAIN, Place, name};
use crate::screen::Screen;
use crate::support::{program, times};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::time::Duration;

/// A profile for each way of pausing that there is here: without a group it is init that stops the others.
fn profiles() -> Vec<String> {
    let limited = format!("{PLAIN}[limits]\npids = 50\n");
    let limited = has_limits().then_some(limited);
    std::iter::once(PLAIN.to_owned()).chain(limited).collect()
}

/// Nothing that ends by itself.
const SPIN: &str = "touch ready; while ! [ -e go ]; do :; done";

/// Processor time of each process below the supervisor but init, in ticks (proc_pid_stat(5)), and its state.
fn used(live: &Live) -> BTreeMap<u32, (u64, String)> {
    let of = |pid: u32| {
        let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let rest = text.get(text.rfind(')')? + 2..)?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<u64>().unwrap();
        Some((pid, (ticks(11) + ticks(12), fields[0].to_owned())))
    };
    live.inside().into_iter().skip(1).filter_map(of).collect()
}

/// Nobody inside does anything: none uses processor time, none comes and none goes.
#[track_caller]
fn rests(live: &Live) {
    let before = used(live);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(used(live), before);
    assert!(!before.is_empty());
}

#[track_caller]
fn goes_on(live: &Live) {
    let sum = || used(live).values().map(|(ticks, _)| ticks).sum::<u64>();
    let before = sum();
    eventually("it goes on", || sum() > before);
}

fn state(place: &Place, name: &str) -> String {
    let rows = place.ps(&[name.to_owned()], true);
    rows.first().map(|row| row.1.clone()).unwrap_or_default()
}

impl Place {
    #[track_caller]
    fn pause(&self, name: &str) {
        assert_eq!(self.done(&["pause", name]).ok(), "");
    }

    #[track_caller]
    fn resume(&self, name: &str) {
        assert_eq!(self.done(&["resume", name]).ok(), "");
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.done(arguments).ok()).unwrap()
    }
}

#[test]
fn a_paused_sandbox_uses_no_processor_time_and_goes_on_when_it_is_resumed() {
    for profile in profiles() {
        let (place, name) = (Place::new(), name());
        let live = place.start(&name, &profile, SPIN);
        // Asked once more, it stays so.
        place.pause(&name);
        place.pause(&name);
        rests(&live);
        assert_eq!(state(&place, &name), "paused");
        assert!(place.done(&["stats", &name]).ok().contains("paused"));
        let inspected = place.json(&["inspect", "--json", &name]);
        assert_eq!(inspected["paused"], true);
        assert!(
            place.done(&["inspect", &name]).ok().contains("paused"),
            "{profile}"
        );
        let stats = || place.json(&["stats", "--json", &name])[0].clone();
        let (one, other) = (stats(), stats());
        assert_eq!(one["paused"], true);
        assert_eq!(one["cpu_seconds"], other["cpu_seconds"], "{profile}");
        let usage = group(live.command(), "pids").join("cpu.stat");
        if let (Ok(text), Some(seconds)) =
            (std::fs::read_to_string(usage), one["cpu_seconds"].as_f64())
        {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("usage_usec "));
            assert_eq!(line.unwrap().parse::<f64>().unwrap() / 1e6, seconds);
        }
        place.resume(&name);
        goes_on(&live);
        assert_eq!(state(&place, &name), "running");
        assert_eq!(stats()["paused"], false);
        place.resume(&name);
        goes_on(&live);
        assert_eq!(live.go(&place.project).code, 0);
    }
}

#[test]
fn whatever_ends_a_paused_sandbox_ends_all_of_it_at_once_and_leaves_nothing() {
    // Asked to end, the command has its chance, and would have it for two minutes; nothing else waits for that.
    let script = "trap 'touch told; exit 7' TERM; (trap '' TERM; touch ready; while :; do :; done) & \
                  while ! [ -e go ]; do sleep 0.05; done";
    type Way = fn(&Place, &str, Live) -> i32;
    let ways: [(&str, &str, Way, i32, bool); 6] = [
        (
            "kill",
            "",
            |place, name, live| {
                assert_eq!(place.done(&["kill", name]).ok(), "");
                live.done().code
            },
            7,
            true,
        ),
        (
            "SIGTERM",
            "",
            |_, _, live| {
                live.signal(Signal::SIGTERM);
                live.done().code
            },
            7,
            true,
        ),
        (
            "kill -s KILL",
            "",
            |place, name, live| {
                assert_eq!(place.done(&["kill", "-s", "KILL", name]).ok(), "");
                live.done().code
            },
            137,
            false,
        ),
        (
            "the wall time",
            "wall_time = \"3s\"\n",
            |_, _, live| live.done().code,
            124,
            true,
        ),
        (
            "no grace",
            "grace = \"1ms\"\nstop_signal = \"SIGWINCH\"\n",
            |place, name, live| {
                assert_eq!(place.done(&["kill", name]).ok(), "");
                live.done().code
            },
            137,
            false,
        ),
        (
            "the supervisor's death",
            "",
            |_, _, mut live| {
                live.kill();
                0
            },
            0,
            false,
        ),
    ];
    for profile in profiles() {
        for (way, limits, end, code, is_told) in ways {
            let (place, name) = (Place::new(), name());
            let limits = match limits.contains("grace") {
                true => limits.to_owned(),
                false => format!("{limits}grace = \"2m\"\n"),
            };
            let profile = match profile.contains("[limits]") {
                true => format!("{profile}{limits}"),
                false => format!("{profile}[limits]\n{limits}"),
            };
            let live = place.start(&name, &profile, script);
            place.pause(&name);
            rests(&live);
            let inside = live.inside();
            assert!(inside.len() >= 3, "{inside:?}");
            let told = place.project.path().join("told");
            assert!(!told.exists());
            let found = end(&place, &name, live);
            assert_eq!(found, code, "{way}, {profile}");
            assert_eq!(told.exists(), is_told, "{way}, {profile}");
            eventually("nobody is left", || !inside.iter().any(|pid| lives(*pid)));
            assert_eq!(place.sweep().code, 0);
            assert_eq!(state(&place, &name), "", "{way}");
        }
    }
}

/// What does its best to go on, or not to be seen: each in a process of its own, all of which spin.
const STUBBORN: &str = r#"
import ctypes, os, signal, sys, threading, time
def spin():
    while True: pass
def hides():
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
    spin()
def handles():
    # No handler is one of SIGSTOP.
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU): signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCONT, lambda *_: open("continued", "w").close())
    signal.pthread_sigmask(signal.SIG_BLOCK, [n for n in signal.valid_signals() if n != signal.SIGCONT])
    while True: sum(range(1000))
def threads():
    # The first one is gone.
    for _ in range(3): threading.Thread(target=spin).start()
    ctypes.CDLL(None).pthread_exit(None)
def forks():
    # A process that has ended has a child that goes on.
    while True:
        try: child = os.fork()
        except OSError: time.sleep(0.001); continue
        if child: os._exit(0)
def bomb():
    while True:
        try: os.fork()
        except OSError: pass
def leaves():
    os.setsid()
    spin()
def executes():
    while True: os.posix_spawn("/bin/true", ["true"], {}); os.waitpid(-1, 0)
for act in (hides, handles, threads, forks, leaves, executes) + ((bomb,) if sys.argv[1:] else ()):
    if os.fork() == 0: act()
time.sleep(0.3)
open("ready", "w").close()
while not os.path.exists("go"): time.sleep(0.01)
"#;

#[test]
fn who_hides_or_forks_or_handles_signals_is_stopped_too() {
    for profile in profiles() {
        let (place, name) = (Place::new(), name());
        place.project.write("stubborn.py", STUBBORN);
        // Where nothing bounds how many they are, nobody doubles.
        let bomb = if profile.contains("pids") { "bomb" } else { "" };
        let live = place.start(&name, &profile, &format!("exec python3 stubborn.py {bomb}"));
        for _ in 0..times(3, 20) {
            place.pause(&name);
            rests(&live);
            let states = used(&live);
            let states = states.values().map(|(_, state)| state.as_str());
            let frozen = has_freezer(&live);
            assert!(
                frozen || states.clone().all(|state| matches!(state, "T" | "D" | "Z")),
                "{:?}",
                states.collect::<Vec<_>>()
            );
            let continued = place.project.path().join("continued");
            let _ = std::fs::remove_file(&continued);
            place.resume(&name);
            goes_on(&live);
            if !frozen {
                eventually("the handler of SIGCONT was called", || continued.exists());
            }
        }
        place.pause(&name);
        let inside = live.inside();
        assert_eq!(place.done(&["kill", "-s", "KILL", &name]).ok(), "");
        assert_eq!(live.done().code, 137);
        eventually("nobody is left", || !inside.iter().any(|pid| lives(*pid)));
    }
}

/// Whether it has a group that can be frozen.
fn has_freezer(live: &Live) -> bool {
    let own = group(live.command(), "pids");
    let ours = group(std::process::id(), "pids");
    own != ours && own.join("cgroup.freeze").exists()
}

#[test]
fn who_lets_others_go_on_is_stopped_with_them() {
    let script = "import os, signal\nfor _ in range(3): os.fork()\nopen('ready', 'w').close()\n\
                  while True:\n    try: os.kill(-1, signal.SIGCONT)\n    except OSError: pass\n";
    for profile in profiles() {
        let (place, name) = (Place::new(), name());
        place.project.write("ring.py", script);
        let live = place.start(&name, &profile, "exec python3 ring.py");
        for _ in 0..times(3, 20) {
            place.pause(&name);
            rests(&live);
            place.resume(&name);
            goes_on(&live);
        }
        assert_eq!(place.done(&["kill", &name]).ok(), "");
    }
}

#[test]
fn who_joins_is_paused_with_the_rest_and_nobody_joins_what_is_paused() {
    for profile in profiles() {
        let (place, name) = (Place::new(), name());
        let live = place.start(&name, &profile, HOLD);
        let joined = place.project.path().join("joined");
        let script = "touch joined; while ! [ -e gone ]; do :; done; echo done";
        let words = ["exec", &name, "--", "sh", "-c", script];
        let mut guest = Live::spawn(&mut place.program(&words));
        guest.await_file(&joined);
        place.pause(&name);
        rests(&live);
        let ticks = || {
            let pids = guest.inside().into_iter();
            let texts =
                pids.map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap());
            texts.collect::<Vec<_>>()
        };
        let before = ticks();
        assert!(!before.is_empty());
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(ticks(), before);
        let refused = place.exec(&name, "true").fails(125);
        assert!(
            refused.contains(&format!("error[SBX0183]: {name} is paused"))
                && refused.contains("sandbox resume"),
            "{refused}"
        );
        place.resume(&name);
        assert_eq!(place.exec(&name, "echo inside").ok(), "inside\n");
        place.project.write("gone", "");
        assert_eq!(guest.done().ok(), "done\n");
        assert_eq!(live.go(&place.project).code, 0);
    }
}

#[test]
fn who_is_joining_when_it_is_paused_does_not_go_on_either() {
    let (place, name) = (Place::new(), name());
    let live = place.start(&name, PLAIN, HOLD);
    let spin = ["exec", &name, "--", "sh", "-c", "while :; do :; done"];
    for delay in 0..times(10, 200) {
        let mut guest = Live::spawn(&mut place.program(&spin));
        std::thread::sleep(Duration::from_micros(u64::from(delay % 20) * 700));
        // Held on its way, wherever that is, and let go when all others are stopped.
        guest.signal(Signal::SIGSTOP);
        place.pause(&name);
        guest.signal(Signal::SIGCONT);
        let texts = || {
            let pids = guest.inside().into_iter();
            let texts =
                pids.filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).ok());
            texts.collect::<Vec<_>>()
        };
        eventually(
            "it is stopped, whatever it was about to do, or was refused",
            || {
                let before = texts();
                std::thread::sleep(Duration::from_millis(50));
                texts() == before && before.iter().all(|text| text.contains(") T "))
            },
        );
        place.resume(&name);
        guest.kill();
    }
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn a_sandbox_without_a_command_is_paused_and_ended_too() {
    for profile in profiles() {
        let (place, name) = (Place::new(), name());
        let profile = match profile.contains("[limits]") {
            true => format!("{profile}grace = \"2m\"\n"),
            false => format!("{profile}[limits]\ngrace = \"2m\"\n"),
        };
        place.project.write("sandbox.toml", &profile);
        assert_eq!(place.done(&["up", &name]).code, 0);
        // Nobody is in it.
        place.pause(&name);
        assert_eq!(state(&place, &name), "paused");
        assert_eq!(place.exec(&name, "true").code, 125);
        place.resume(&name);
        let script = "trap 'touch told; exit 3' TERM; touch ready; while :; do sleep 0.02; done";
        let words = ["exec", &name, "--", "sh", "-c", script];
        let mut guest = Live::spawn(&mut place.program(&words));
        guest.await_file(&place.project.path().join("ready"));
        place.pause(&name);
        // What waits in it for its end does not keep it from ending.
        assert_eq!(place.done(&["down", &name]).ok(), "");
        assert!(place.project.path().join("told").exists());
        assert_eq!(guest.done().code, 3);
        assert_eq!(state(&place, &name), "");
    }
}

#[test]
fn pausing_is_no_ctrl_z() {
    let place = Place::new();
    let name = name();
    let (project, runtime) = (&place.project, place.runtime.path().display());
    let mut screen = Screen::shell(project);
    screen.types(&format!("export XDG_RUNTIME_DIR='{runtime}'\r"));
    // No child, which Ctrl-Z could stop while its parent waits for it by vfork(2), and so never comes to its stop.
    let script = "touch ready; while ! [ -e go ]; do :; done; echo we''nt on";
    screen.types(&format!(
        "box --name {name} -- sh -c '{}'; echo co''de $?\r",
        script.replace('\'', "'\\''")
    ));
    eventually("it is ready", || project.path().join("ready").exists());
    for _ in 0..3 {
        place.pause(&name);
        let supervisor = || place.json(&["inspect", "--json", &name])["supervisor"].clone();
        let stat = format!("/proc/{}/stat", supervisor());
        std::thread::sleep(Duration::from_millis(200));
        // Neither has it stopped itself, nor let the command go on.
        assert!(!std::fs::read_to_string(&stat).unwrap().contains(") T "));
        assert_eq!(state(&place, &name), "paused");
        let inspected = place.json(&["inspect", "--json", &name]);
        let processes = inspected["processes"].as_array().unwrap();
        let states = processes.iter().filter(|process| process["inside"] != 1);
        assert!(states.clone().count() > 0);
        let states: Vec<_> = states
            .map(|process| process["state"].as_str().unwrap())
            .collect();
        assert!(
            states.iter().all(|state| matches!(*state, "T" | "D" | "Z")),
            "{states:?}"
        );
        place.resume(&name);
    }
    project.write("go", "");
    let shown = screen.shows("code 0\r\n");
    assert!(
        shown.contains("went on\r\n") && !shown.contains("Stopped"),
        "{shown:?}"
    );
    // Ctrl-Z is.
    std::fs::remove_file(project.path().join("go")).unwrap();
    std::fs::remove_file(project.path().join("ready")).unwrap();
    screen.types(&format!(
        "box --name {name} -- sh -c '{}'; echo co''de $?\r",
        script.replace('\'', "'\\''")
    ));
    eventually("it is ready", || project.path().join("ready").exists());
    screen.is_raw();
    screen.types("\x1a");
    screen.shows("Stopped");
    // What was stopped by itself goes on with the rest, and its job when the shell lets it.
    place.pause(&name);
    place.resume(&name);
    project.write("go", "");
    screen.types("fg\r");
    screen.shows("went on");
}

#[test]
fn a_shell_inside_does_not_take_a_pause_for_ctrl_z() {
    let (place, name) = (Place::new(), name());
    let (project, runtime) = (&place.project, place.runtime.path().display());
    let mut screen = Screen::shell(project);
    screen.types(&format!("export XDG_RUNTIME_DIR='{runtime}'\r"));
    let program = program();
    let shell = "bash --noprofile --norc -i";
    // One that is the command, and one that joins.
    let own = format!("box --name {name} -- {shell}\r");
    let joins = format!(
        "'{0}' up {name} && '{0}' exec --tty {name} -- {shell}\r",
        program.display()
    );
    for start in [own, joins] {
        for file in ["ready", "go"] {
            let _ = std::fs::remove_file(project.path().join(file));
        }
        screen.types(&start);
        screen.shows("bash-");
        screen.types("sh -c 'touch ready; while ! [ -e go ]; do sleep 1; done'; echo co''de $?\r");
        eventually("it is ready", || project.path().join("ready").exists());
        for _ in 0..5 {
            place.pause(&name);
            place.resume(&name);
            std::thread::sleep(Duration::from_millis(100));
        }
        project.write("go", "");
        let shown = screen.shows("code 0\r\n");
        assert!(!shown.contains("Stopped"), "{shown:?}");
        screen.types("exit\r");
        screen.shows("OUTSIDE> ");
    }
    assert_eq!(place.done(&["down", &name]).ok(), "");
}

#[test]
fn a_traced_command_is_paused_too() {
    let (place, name) = (Place::new(), name());
    place.project.write("sandbox.toml", PLAIN);
    let words = ["--explain-denials", "--name", &name, "--", "sh", "-c", SPIN];
    let mut live = Live::spawn(&mut place.program(&words));
    live.await_file(&place.project.path().join("ready"));
    place.pause(&name);
    rests(&live);
    place.resume(&name);
    goes_on(&live);
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn a_paused_sandbox_is_not_idle() {
    if without_limits("a_paused_sandbox_is_not_idle") {
        return;
    }
    let (place, name) = (Place::new(), name());
    let profile = format!("{PLAIN}[limits]\nidle = \"1s\"\ngrace = \"1ms\"\n");
    let script = "touch ready; sleep 600";
    let live = place.start(&name, &profile, script);
    place.pause(&name);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(state(&place, &name), "paused");
    place.resume(&name);
    assert!(live.done().fails(124).contains("idle for 1s"));
}

/// Asks init as `pause` does: by kill(2), and in words of one's own.
const ASKS: &str = r#"
import ctypes, os, signal
def ask(number):
    signal.signal(number, signal.SIG_IGN)
    for _ in range(3):
        os.kill(1, number)
        assert ctypes.CDLL(None).sigqueue(1, int(number), None) == 0
ask(signal.SIGVTALRM)
ask(signal.SIGPROF)
ask(signal.SIGVTALRM)
open("ready", "w").close()
while not os.path.exists("go"): pass
"#;

#[test]
fn nobody_inside_pauses_or_resumes() {
    let (place, name) = (Place::new(), name());
    place.project.write("asks.py", ASKS);
    // Landlock keeps it from signalling init at all.
    let profile = format!("{PLAIN}[enforce]\nlandlock = \"off\"\n");
    let live = place.start(&name, &profile, "exec python3 asks.py");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(state(&place, &name), "running");
    goes_on(&live);
    assert_eq!(live.go(&place.project).code, 0);
}

#[test]
fn without_a_freezer_and_without_an_init_pausing_is_refused_with_the_remedy() {
    for table in ["[process]\ninit = false", "[namespaces]\npid = \"shared\""] {
        let (place, name) = (Place::new(), name());
        let live = place.start(&name, &format!("{PLAIN}{table}\n"), SPIN);
        for verb in ["pause", "resume"] {
            let refused = place.done(&[verb, &name]).fails(125);
            let line = format!("error[SBX0183]: {name} has neither a control group of cgroup v2, ");
            assert!(
                refused.contains(&line) && refused.contains("`init = true`"),
                "{refused}"
            );
        }
        assert_eq!(state(&place, &name), "running");
        assert_eq!(live.go(&place.project).code, 0);
    }
}

#[test]
fn stats_of_one_that_is_not_there_says_so() {
    let (place, name) = (Place::new(), name());
    let live = place.start(&name, PLAIN, HOLD);
    let refused = place
        .done(&["stats", &name, "nobody-of-that-name"])
        .fails(125);
    assert!(refused.contains("nobody-of-that-name"), "{refused}");
    assert_eq!(live.go(&place.project).code, 0);
}
