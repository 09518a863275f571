//! Sources and targets that somebody exchanges for symbolic links while runs begin: whatever is hit, it is
//! never what the links lead to.

use crate::support::{Project, done};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// Who exchanges names for links as fast as it goes, as another run of the same caller could.
struct Hostile {
    over: Arc<AtomicBool>,
    times: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Hostile {
    fn exchange(pairs: Vec<(PathBuf, PathBuf)>) -> Self {
        let (over, times) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (is_over, count) = (Arc::clone(&over), Arc::clone(&times));
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                for (one, other) in &pairs {
                    let flags = RenameFlags::RENAME_EXCHANGE;
                    if renameat2(AT_FDCWD, one, AT_FDCWD, other, flags).is_ok() {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        let thread = Some(thread);
        Self {
            over,
            times,
            thread,
        }
    }

    fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// All that is in the folder that must not be touched, with what any change of it changes.
fn canary(folder: &Path) -> BTreeSet<(PathBuf, u32, u64, (i64, i64))> {
    let mut found = BTreeSet::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(path) = todo.pop() {
        let metadata = path.symlink_metadata().unwrap();
        if metadata.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        }
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        found.insert((path, metadata.mode(), metadata.len(), changed));
    }
    found
}

/// Each of these is exchanged for a link: the folder that targets are in, sources, and what is masked.
const FOLDERS: &[&str] = &["sub", "source", "kept"];
const FILES: &[&str] = &["file", "secret"];

const PROFILES: &[&str] = &[
    "[[mounts]]\ntype = \"bind\"\nsource = \"source\"\ntarget = \"/mnt\"\nread_only = false\n",
    "[[mounts]]\ntype = \"bind\"\nsource = \"file\"\ntarget = \"/mnt/file\"\nread_only = false\n",
    "[[mounts]]\ntype = \"bind\"\nsource = \"/usr\"\ntarget = \"sub/made/here\"\n",
    "[[mounts]]\ntype = \"tmpfs\"\ntarget = \"sub/memory\"\n[[mounts]]\ntype = \"mask\"\ntarget = \"secret\"\n",
    "[[mounts]]\ntype = \"file\"\ntarget = \"sub/text\"\ncontents = \"x\"\n[[mounts]]\ntype = \"bind\"\nsource = \"source/inner\"\ntarget = \"/mnt\"\nread_only = false\n",
    "[[mounts]]\ntype = \"bind\"\nsource = \"kept\"\ntarget = \"/mnt\"\nchanges = \"discard\"\n",
];

/// Writes wherever it was given something, and takes away what it can.
const COMMAND: &str = "for at in /mnt sub sub/made sub/memory source kept; do echo x >$at/touched; mkdir $at/folder; rm -rf $at/inner; done; echo x >/mnt/file; echo x >secret; chmod -R 777 /mnt sub; exit 0";

#[test]
fn what_is_exchanged_for_links_meanwhile_leads_nowhere() {
    let runs = match std::env::var("SANDBOX_STRESS").as_deref() {
        Ok("full") => 2_000,
        _ => 54,
    };
    let (project, outside) = (Project::new(), Project::new());
    let places = || FOLDERS.iter().chain(FILES);
    let fill = |folder: &Path| {
        for name in FOLDERS {
            let _ = std::fs::create_dir_all(folder.join(name).join("inner"));
        }
        for name in FILES {
            let _ = std::fs::write(folder.join(name), "canary");
        }
    };
    fill(outside.path());
    let before = canary(outside.path());
    let links = project.path().join("links");
    std::fs::create_dir(&links).unwrap();
    let mut pairs = Vec::new();
    for name in places() {
        let link = links.join(name);
        symlink(outside.path().join(name), &link).unwrap();
        pairs.push((project.path().join(name), link));
    }
    let (mut begun, mut refused) = (0, 0);
    let mut exchanged = 0;
    for number in 0..runs {
        // What commands have taken away is there again; no name is a link now.
        fill(project.path());
        let hostile = Hostile::exchange(pairs.clone());
        let profile = PROFILES[number % PROFILES.len()];
        let run = done(&mut project.script(profile, COMMAND));
        exchanged += hostile.times();
        drop(hostile);
        match run.code {
            0 => begun += 1,
            125 => refused += 1,
            _ => panic!("{profile}{run:?}"),
        }
        assert_eq!(canary(outside.path()), before, "{profile}{run:?}");
        // In order again: a link in the place of the folder would be no race.
        for (name, link) in &pairs {
            if name.is_symlink() {
                let flags = RenameFlags::RENAME_EXCHANGE;
                let _ = renameat2(AT_FDCWD, name, AT_FDCWD, link, flags);
            }
        }
    }
    assert!(
        exchanged > runs as u64,
        "{exchanged} exchanges in {runs} runs"
    );
    assert!(begun > 0, "none of {runs} runs has begun");
    println!(
        "{begun} of {runs} runs have begun, {refused} were refused, among {exchanged} exchanges"
    );
    // Who follows links is led outside by the same exchanges.
    let hostile = Hostile::exchange(pairs);
    let made = project.path().join("sub/led");
    let led = (0..1_000_000).any(|_| {
        let _ = std::fs::write(&made, "");
        outside.path().join("sub/led").exists()
    });
    drop(hostile);
    assert!(led);
}
