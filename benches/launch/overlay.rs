//! What an overlay over a root costs: a root of 100 MB in 10,000 files, read-only, with its changes thrown
//! away, and with them kept. Copying the root first, which is the other way to leave it as it is, is shown
//! beside.

use super::{Contender, sandbox_with};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A static program, so that the root needs nothing else.
const BUSYBOX: &str = "/bin/busybox";

/// The contenders; none without the program.
pub(crate) fn contenders(program: &Path, project: &Path, scratch: &Path) -> Vec<Contender> {
    let root = scratch.join("root");
    if fill(&root).is_err() {
        println!("  left out: {BUSYBOX} is not installed (package `busybox-static`)");
        return Vec::new();
    }
    let mut list = Vec::new();
    for (name, changes) in [
        ("read-only", "forbid"),
        ("discard", "discard"),
        ("keep", "keep"),
    ] {
        let profile = scratch.join(format!("{changes}.toml"));
        let text = format!(
            "version = 1\n[rootfs]\ndirectory = \"{}\"\nproject = \"hide\"\nchanges = \"{changes}\"\n",
            root.display()
        );
        fs::write(&profile, text).unwrap();
        let command = [BUSYBOX, "true"];
        list.push(sandbox_with(
            name,
            program,
            project,
            Some(&profile),
            &command,
        ));
    }
    let (from, to) = (root, scratch.join("copy"));
    list.push(Contender {
        name: "copy alone",
        next: Box::new(move || {
            let _ = fs::remove_dir_all(&to);
            let mut command = Command::new("cp");
            command.arg("-a").args([&from, &to]);
            command
        }),
    });
    list
}

fn fill(root: &Path) -> std::io::Result<()> {
    for folder in ["bin", "dev", "proc", "tmp", "run", "data"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::copy(BUSYBOX, root.join("bin/busybox"))?;
    for folder in 0..100 {
        let folder = root.join(format!("data/{folder}"));
        fs::create_dir(&folder)?;
        for file in 0..100 {
            fs::write(folder.join(file.to_string()), [b'x'; 10_000])?;
        }
    }
    Ok(())
}
