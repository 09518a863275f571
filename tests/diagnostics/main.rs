//! The diagnostics: every mistake in a profile is named with its line and a remedy, all of them in
//! one run. Nothing here needs a privilege, and nothing runs but the checker and the planner.
//!
//! Each test holds the profile and, beside it, the whole of what the program says about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod assertions;
mod everything;
mod identity;
mod language;
mod machine;
mod mounts;
mod privileges;
mod process;
mod resources;
mod root;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What `sandbox check` says about a profile with mistakes.
#[track_caller]
fn checked(profile: &str) -> String {
    let folder = Folder::with(profile);
    refused(&folder, &mut folder.program(&["check", "sandbox.toml"]))
}

/// What `sandbox explain` says about a profile without mistakes that cannot be had here.
#[track_caller]
fn explained(profile: &str) -> String {
    let folder = Folder::with(profile);
    let check = folder.program(&["check", "sandbox.toml"]).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    let arguments = ["explain", "--profile", "sandbox.toml", "--", "true"];
    refused(&folder, &mut folder.program(&arguments))
}

/// Stderr of a run that must be refused with exit code 125 and nothing on stdout.
#[track_caller]
fn refused(folder: &Folder, command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(125), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&stdout), "");
    assert!(!stderr.contains("panicked"), "{stderr}");
    // A remedy with every sentence.
    let sentences = stderr.lines().filter(|l| l.starts_with("error[")).count();
    let remedies = stderr.lines().filter(|l| l.contains("= help: ")).count();
    assert_eq!(sentences, remedies, "{stderr}");
    stderr
        .replace(folder.0.to_str().unwrap(), "[project]")
        .trim()
        .to_owned()
}

/// A project with one profile, removed in the end.
struct Folder(PathBuf);

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Folder {
    /// The first line of the text is left out if it is empty.
    fn with(profile: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sandbox-diagnostics-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().canonicalize().unwrap().join(name);
        std::fs::create_dir(&folder).unwrap();
        let profile = profile.strip_prefix('\n').unwrap_or(profile);
        std::fs::write(folder.join("sandbox.toml"), profile).unwrap();
        Self(folder)
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let program = std::env::var_os("SANDBOX_BIN")
            .map_or_else(|| env!("CARGO_BIN_EXE_sandbox").into(), PathBuf::from);
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/home/ada")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
