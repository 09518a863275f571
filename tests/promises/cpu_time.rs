//! Processor time is counted for the whole sandbox, and ends it when it is used up.

use crate::live::{Live, eventually, group, lives, without_limits};
use crate::support::Project;

const LINE: &str = "sandbox: killed: processor time of 400ms reached (sandbox.toml:3)\n";
const PROFILE: &str = "version = 1\n[limits]\ncpu_time = \"400ms\"";

#[test]
fn a_command_that_uses_up_its_processor_time_ends_with_124_and_a_line() {
    if without_limits("a_command_that_uses_up_its_processor_time_ends_with_124_and_a_line") {
        return;
    }
    let project = Project::new();
    let run = project.run(PROFILE, "trap 'times; exit 3' TERM; while :; do :; done");
    let used = run.stdout.split_whitespace().take(2).map(|word| {
        let (minutes, seconds) = word.trim_end_matches('s').split_once('m').unwrap();
        minutes.parse::<f64>().unwrap() * 60.0 + seconds.parse::<f64>().unwrap()
    });
    let used: f64 = used.sum();
    // The rest is what the sandbox itself has used before.
    assert!((0.2..2.0).contains(&used), "{used} of 0.4 s");
    assert_eq!(run.fails(124), LINE);
}

#[test]
fn processor_time_is_that_of_all_processes_together_also_of_those_that_are_gone() {
    if without_limits(
        "processor_time_is_that_of_all_processes_together_also_of_those_that_are_gone",
    ) {
        return;
    }
    let project = Project::new();
    // None of them comes near the limit.
    let few = "i=0; while [ $i -lt 1000 ]; do i=$((i + 1)); done";
    let many = format!("while :; do ({few}) & ({few}); wait; done");
    assert_eq!(project.run(PROFILE, &many).fails(124), LINE);
}

#[test]
fn a_command_that_ignores_sigterm_uses_no_processor_time_beyond_the_grace_period() {
    if without_limits(
        "a_command_that_ignores_sigterm_uses_no_processor_time_beyond_the_grace_period",
    ) {
        return;
    }
    let project = Project::new();
    let profile = format!("{PROFILE}\ngrace = \"300ms\"");
    let stubborn = "trap 'echo told' TERM; touch ready; while ! [ -e go ]; do :; done; \
                    touch working; while :; do :; done";
    let live = Live::script(&project, "version = 1\n[limits]\ncpu_time = 60", stubborn);
    let folder = group(live.command(), "cpuacct");
    let inside = live.inside();
    assert!(folder.exists());
    drop(live);
    eventually("all inside are gone", || {
        inside.iter().all(|pid| !lives(*pid))
    });
    let run = project.run(&profile, stubborn);
    assert_eq!(run.stdout, "told\n");
    assert_eq!(run.fails(124), LINE);
    // The run has swept what the killed one could not remove.
    assert!(!folder.exists());
}

#[test]
fn a_command_that_uses_next_to_nothing_is_left_alone_and_wakes_nobody() {
    if without_limits("a_command_that_uses_next_to_nothing_is_left_alone_and_wakes_nobody") {
        return;
    }
    let project = Project::new();
    assert_eq!(
        project.run(PROFILE, "sleep 1.5; echo slept").ok(),
        "slept\n"
    );
    let profile = "version = 1\n[limits]\ncpu_time = \"1h\"";
    let script = "touch ready; while ! [ -e go ]; do sleep 0.05; done";
    let live = Live::script(&project, profile, script);
    let wakes = || {
        let path = format!("/proc/{}/status", live.supervisor());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    // It may still be on its way to its first sleep.
    eventually("it is not woken for two seconds", || {
        let before = wakes();
        std::thread::sleep(std::time::Duration::from_secs(2));
        wakes() == before
    });
    assert_eq!(live.go(&project).ok(), "");
}
