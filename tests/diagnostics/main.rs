//! The diagnostics: every mistake in a profile is named with its line and a remedy, all of them in
//! one run. Nothing here needs a privilege, and nothing runs but the checker and the planner.
//!
//! Each test holds the profile and, beside it, the whole of what the program says about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod assertions;
mod bounds;
mod bus;
mod effects;
mod egress;
mod everything;
mod exposure;
mod families;
mod forms;
mod identity;
mod input;
mod language;
mod layers;
mod machine;
mod mounts;
mod nesting;
mod networks;
mod nodes;
mod page;
mod power;
mod privileges;
mod process;
mod reference;
mod resources;
mod review;
mod root;
mod sources;
mod translated;

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What `sandbox check` says about a profile with mistakes, without the count at the end.
#[track_caller]
fn checked(profile: &str) -> String {
    let folder = Folder::with(profile);
    let said = refused(&folder, &mut folder.program(&["check", "sandbox.toml"]));
    match said.rsplit_once("\n\n") {
        Some((problems, count)) if count.starts_with("sandbox: ") => problems.to_owned(),
        _ => said,
    }
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

/// What `sandbox check` says about a profile that it accepts.
#[track_caller]
fn warned(profile: &str) -> String {
    let folder = Folder::with(profile);
    said(&folder, &mut folder.program(&["check", "sandbox.toml"]), 0)
}

/// Stderr of a run that must be refused with exit code 125 and nothing on stdout.
#[track_caller]
fn refused(folder: &Folder, command: &mut Command) -> String {
    said(folder, command, 125)
}

/// Stderr of a run that ends with this code and prints nothing on stdout.
#[track_caller]
fn said(folder: &Folder, command: &mut Command, code: i32) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(code), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&stdout), "");
    assert!(!stderr.contains("panicked"), "{stderr}");
    // A remedy with every sentence.
    let starts = ["error[", "warning[", "note["];
    let is_sentence = |line: &&str| starts.iter().any(|start| line.starts_with(start));
    let sentences = stderr.lines().filter(is_sentence).count();
    let remedies = stderr.lines().filter(|l| l.contains("= help: ")).count();
    assert_eq!(sentences, remedies, "{stderr}");
    stderr
        .replace(folder.0.to_str().unwrap(), "[project]")
        .trim()
        .to_owned()
}

/// The codes of a `check --format json`, in order. It prints no more than that.
#[track_caller]
fn codes(command: &mut Command) -> Vec<String> {
    let Output { stdout, stderr, .. } = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&stderr), "");
    let document: serde_json::Value = serde_json::from_slice(&stdout).unwrap();
    let diagnostics = document["diagnostics"].as_array().unwrap();
    let code = |d: &serde_json::Value| d["code"].as_str().unwrap().to_owned();
    diagnostics.iter().map(code).collect()
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

    /// Writes another file, with what is above it; the first line is left out if it is empty.
    fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.strip_prefix('\n').unwrap_or(text)).unwrap();
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
