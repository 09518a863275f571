//! What to do about an assertion that does not hold: where the profile decides it.

use super::Verdict;
use super::judge::{Finding, Kind};
use crate::plan::attempt::Address;
use crate::sections::test::{Assertion, Claim, Subject};
use nix::errno::Errno;

pub(super) fn remedy(assertion: &Assertion, finding: &Finding, verdict: Verdict) -> String {
    if verdict == Verdict::Unproven {
        return unproven(&assertion.subject, finding.kind).into();
    }
    match assertion.holds_if {
        Claim::Can => to_permit(assertion, finding),
        Claim::Cannot => to_refuse(assertion),
    }
}

fn to_permit(assertion: &Assertion, finding: &Finding) -> String {
    let text = &assertion.text;
    let missing = finding.errno == Some(Errno::ENOENT as i32);
    match &assertion.subject {
        Subject::Run { exit, .. } => {
            format!(
                "run it by hand: sandbox --profile … -- COMMAND; or correct `exit`, which is {exit}"
            )
        }
        Subject::Read(_) | Subject::See(_) | Subject::Execute(_) if missing => {
            "show it with an entry of [[mounts]]: type = \"bind\", target = \"…\"".into()
        }
        Subject::Execute(_) => {
            "is it executable for the uid inside, on a mount without `noexec`?".into()
        }
        Subject::Read(_) | Subject::See(_) => {
            "may the uid inside read it, and enter all folders on the way? See [user]".into()
        }
        Subject::Write(_) => {
            "grant it with an entry of [[mounts]]: type = \"bind\", read_only = false".into()
        }
        Subject::Connect(_) if matches!(finding.kind, Kind::NobodyListens | Kind::Reached) => {
            "the way is free: start the service before the test".into()
        }
        Subject::Connect(Address::Unix(address)) if address.path().is_some() => {
            "show the socket with an entry of [[mounts]]: type = \"bind\"".into()
        }
        Subject::Connect(_) => "see `mode` under [network], and `socket` under [seccomp]".into(),
        Subject::Call(_) => "add it to `allow` under [seccomp]".into(),
        Subject::Variable(_) => {
            format!("add it under [environment]: inherit = [\"{text}\"], or `set`")
        }
    }
}

fn to_refuse(assertion: &Assertion) -> String {
    match &assertion.subject {
        Subject::Read(_) | Subject::See(_) | Subject::Execute(_) => {
            "hide it with an entry of [[mounts]]: type = \"mask\"; or remove the mount that shows it".into()
        }
        Subject::Write(_) => {
            "make its mount read-only: `read_only = true` under [[mounts]], `project = \"read\"` under [rootfs]".into()
        }
        Subject::Connect(Address::Unix(address)) if address.path().is_some() => {
            "hide the socket with an entry of [[mounts]]: type = \"mask\"".into()
        }
        Subject::Connect(_) => {
            "see `mode` under [network]: \"none\" or \"loopback\" reaches nothing outside".into()
        }
        Subject::Call(_) => "add it to `deny` under [seccomp]".into(),
        Subject::Variable(_) => {
            "remove it from `inherit` and `set` under [environment], or add it to `unset`".into()
        }
        Subject::Run { .. } => "correct the command".into(),
    }
}

fn unproven(subject: &Subject, kind: Kind) -> &'static str {
    match (subject, kind) {
        (Subject::Connect(_), Kind::NobodyListens) => {
            "start something that listens there before the test, or name an address where something does"
        }
        (Subject::Connect(_), _) => {
            "name an address that answers outside of the sandbox: silence has many reasons"
        }
        _ => "name something that can be tried outside of the sandbox",
    }
}
