//! Whatever a command does, a run that is to end does; and no signal but SIGKILL parts a supervisor from it.

use crate::live::{HOLD, Live, eventually, lives};
use crate::support::Project;
use nix::sys::signal::Signal;

/// What a command can do against its end.
const STUBBORN: [&str; 4] = [
    // It has stopped itself.
    "touch ready; kill -STOP $$; sleep 600",
    // It has stopped itself, and would not hear.
    "trap '' TERM; touch ready; kill -STOP $$; while :; do sleep 600; done",
    // Its daemons do not hear, and have left its session and its group.
    "trap '' TERM; (setsid sh -c 'trap \"\" TERM; (sleep 600 &) ; sleep 600' &) ; touch ready; while :; do sleep 600; done",
    // All of it, its output full, and nobody reading that.
    "trap '' TERM; (setsid sh -c 'trap \"\" TERM; yes' &) ; yes & touch ready; while :; do echo word; done",
];

#[test]
fn a_run_ends_in_time_whatever_the_command_does() {
    let project = Project::new();
    for output in ["", "output = \"1G\"\n"] {
        let profile =
            format!("version = 1\n[limits]\n{output}wall_time = \"700ms\"\ngrace = \"300ms\"");
        for script in STUBBORN {
            let mut live = Live::script(&project, &profile, script);
            let inside = live.inside();
            eventually("the run has ended", || live.has_ended());
            assert!(!inside.iter().any(|pid| lives(*pid)), "{script}");
            let line = format!(
                "wall time of 700ms reached (sandbox.toml:{})\n",
                3 + output.lines().count()
            );
            assert!(live.done().fails(124).ends_with(&line), "{script}");
        }
    }
}

#[test]
fn a_run_ends_when_it_is_asked_to_whatever_the_command_does() {
    let project = Project::new();
    let profile = "version = 1\n[limits]\ngrace = \"300ms\"";
    for script in STUBBORN {
        let mut live = Live::script(&project, profile, script);
        eventually("the command has begun", || live.inside().len() >= 2);
        let inside = live.inside();
        live.signal(Signal::SIGTERM);
        eventually("the run has ended", || live.has_ended());
        assert!(!inside.iter().any(|pid| lives(*pid)), "{script}");
        let line = "sandbox: killed: still running 300ms after SIGTERM\n";
        // Only the first one ends by itself, once it goes on.
        let end = match script.contains("trap") {
            true => (137, line),
            false => (143, ""),
        };
        let done = live.done();
        assert_eq!((done.code, &*done.stderr), end, "{script}");
    }
}

#[test]
fn a_command_is_asked_to_end_by_the_signal_that_the_profile_names() {
    let project = Project::new();
    for (signal, word) in [
        ("SIGINT", "INT"),
        ("SIGWINCH", "WINCH"),
        ("SIGRTMIN+3", "37"),
    ] {
        let limits = format!("version = 1\n[limits]\nstop_signal = \"{signal}\"\n");
        let script = format!(
            "trap 'echo heard; exit 3' {word}; trap 'echo other' TERM; touch ready; while :; do sleep 0.05; done"
        );
        // From outside.
        let mut live = Live::script(&project, &limits, &script);
        live.await_file(&project.path().join("ready"));
        live.signal(Signal::SIGTERM);
        eventually("the run has ended", || live.has_ended());
        let done = live.done();
        assert_eq!(
            (done.code, &*done.stdout),
            (3, "heard\n"),
            "{signal}: {done:?}"
        );
        // At a limit, which the command reaches once it hears.
        let limits = format!("{limits}output = 1\noutput_over = \"end\"\n");
        let script =
            format!("trap 'touch heard; exit 3' {word}; while :; do echo; sleep 0.05; done");
        assert_eq!(project.run(&limits, &script).code, 124, "{signal}");
        std::fs::remove_file(project.path().join("heard")).unwrap();
        std::fs::remove_file(project.path().join("ready")).unwrap();
    }
}

#[test]
fn without_an_end_of_grace_a_command_takes_its_time() {
    let project = Project::new();
    let profile = "version = 1\n[limits]\ngrace = \"infinity\"\nwall_time = \"500ms\"";
    let script =
        "trap 'touch asked' TERM; touch ready; while ! [ -e go ]; do sleep 0.05; done; echo done";
    let mut live = Live::script(&project, profile, script);
    live.await_file(&project.path().join("asked"));
    assert!(!live.has_ended());
    let run = live.go(&project);
    assert_eq!((run.code, &*run.stdout), (124, "done\n"), "{run:?}");
}

#[test]
fn no_signal_parts_a_supervisor_from_its_run() {
    let project = Project::new();
    // Those that are neither handed on nor the kernel's own means.
    let others = [
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGABRT,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGSEGV,
        Signal::SIGPIPE,
        Signal::SIGSTKFLT,
        Signal::SIGXCPU,
        Signal::SIGXFSZ,
        Signal::SIGVTALRM,
        Signal::SIGPROF,
        Signal::SIGIO,
        Signal::SIGPWR,
        Signal::SIGSYS,
        Signal::SIGCHLD,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGURG,
    ];
    for profile in ["version = 1", "version = 1\n[limits]\noutput = \"1M\""] {
        let _ = std::fs::remove_file(project.path().join("go"));
        let live = Live::script(&project, profile, &format!("{HOLD}; echo done"));
        for signal in others {
            live.signal(signal);
        }
        assert_eq!(live.go(&project).ok(), "done\n");
    }
}
