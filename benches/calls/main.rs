//! What a system call costs under the default filter: a million of each, bare, in sandboxes with it, without one and with
//! one that permits all in one instruction (what it costs to have any), and in bubblewrap with the very same filter.
//!
//! The contenders run turn by turn, as in the benchmark of launching. What is compared with a sandbox without
//! a filter has the same mounts and the same rules of Landlock, so that the difference is the filter's.
//!
//!     cargo bench --bench calls [-- --runs 20 --calls 1000000 --sandbox ANOTHER_BINARY]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "../launch/bubblewrap.rs"]
mod bubblewrap;
#[path = "../launch/plan.rs"]
mod plan;
#[path = "../launch/table.rs"]
mod table;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// A way to start what is measured.
struct Contender {
    name: &'static str,
    next: Box<dyn FnMut() -> Command>,
}

/// Where this program is inside.
const TRUE: &str = "/measured";

/// The word by which it is told to make calls.
const INSIDE: &str = "--inside";

/// What is asked about and opened, there bare as well as inside.
const FILE: &str = "/usr/bin/env";

const KINDS: [&str; 3] = ["getppid", "stat", "open and close"];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, calls] = words.as_slice()
        && first == INSIDE
    {
        return make(calls.parse().unwrap());
    }
    let (mut runs, mut calls) = (20, 1_000_000_u32);
    let mut program = PathBuf::from(env!("CARGO_BIN_EXE_sandbox"));
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value");
        match word.as_str() {
            // Cargo adds this one.
            "--bench" => {}
            "--runs" => runs = value().parse().expect("a number of runs"),
            "--calls" => calls = value().parse().expect("a number of calls"),
            "--sandbox" => program = value().into(),
            other => panic!("unknown option {other}: there are --runs, --calls and --sandbox"),
        }
    }
    let folder = std::env::temp_dir().join(format!("sandbox-calls-{}", std::process::id()));
    fs::create_dir_all(folder.join("project/.git")).unwrap();
    fs::create_dir(folder.join("bubblewrap")).unwrap();
    let copy = folder.join("measured");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    compare(&folder, &copy, &program, runs, calls);
    let _ = std::env::set_current_dir("/");
    let _ = fs::remove_dir_all(&folder);
}

/// Makes the calls, and prints the milliseconds that each kind took.
fn make(calls: u32) {
    let time = |call: &dyn Fn()| {
        let start = Instant::now();
        for _ in 0..calls {
            call();
        }
        println!("{}", start.elapsed().as_secs_f64() * 1e3);
    };
    time(&|| {
        std::hint::black_box(nix::unistd::getppid());
    });
    time(&|| {
        std::hint::black_box(fs::metadata(FILE).unwrap());
    });
    time(&|| drop(std::hint::black_box(File::open(FILE).unwrap())));
}

fn compare(folder: &Path, copy: &Path, program: &Path, runs: usize, calls: u32) {
    let project = folder.join("project");
    std::env::set_current_dir(&project).unwrap();
    let mount = format!(
        "[[mounts]]\ntype = \"bind\"\nsource = \"{}\"\ntarget = \"{TRUE}\"\n",
        copy.display()
    );
    let profile = |name: &str, more: &str| {
        let path = project.join(name);
        fs::write(&path, format!("version = 1\n{more}{mount}")).unwrap();
        path
    };
    let with = profile("with.toml", "");
    let without = profile("without.toml", "[seccomp]\npreset = \"off\"\n");
    // `return ALLOW`, a `struct sock_filter`: the least that a filter can do.
    fs::write(project.join("least.bpf"), b"\x06\0\0\0\0\0\xff\x7f").unwrap();
    let least = "[seccomp]\npreset = \"off\"\nfile = \"least.bpf\"\n";
    let least = profile("least.toml", least);
    let sandbox = |name, profile: &Path| {
        let (program, profile, project) = (program.to_owned(), profile.to_owned(), project.clone());
        Contender {
            name,
            next: Box::new(move || {
                let mut command = Command::new(&program);
                command.arg("--profile").arg(&profile).args(["--", TRUE]);
                plan::environment(&mut command, &project);
                command
            }),
        }
    };
    let bare = copy.to_owned();
    let mut contenders = vec![
        Contender {
            name: "bare",
            next: Box::new(move || Command::new(&bare)),
        },
        sandbox("sandbox, no filter", &without),
        sandbox("sandbox, least filter", &least),
        sandbox("sandbox", &with),
    ];
    if let Some(plan) = plan::of(&project, Some(&with)) {
        contenders.push(bubblewrap::contender(
            &plan,
            &folder.join("bubblewrap"),
            true,
        ));
    }
    let mut columns: Vec<[Vec<f64>; 3]> = contenders.iter().map(|_| Default::default()).collect();
    for round in 0..=runs {
        for (one, column) in contenders.iter_mut().zip(&mut columns) {
            let Some(times) = measured(one, calls) else {
                continue;
            };
            // The first round warms up.
            for (column, time) in column.iter_mut().zip(times).filter(|_| round > 0) {
                column.push(time);
            }
        }
    }
    for (at, kind) in KINDS.into_iter().enumerate() {
        println!("\n{calls} × {kind}");
        let times = contenders.iter().zip(&columns);
        let times: Vec<_> = times
            .map(|(one, column)| (one.name, column[at].clone()))
            .filter(|(_, column)| column.len() == runs)
            .collect();
        table::print(&times, &["bare", "sandbox, no filter"]);
    }
}

/// The milliseconds of each kind; `None` for who is not installed, or cannot start here.
fn measured(contender: &mut Contender, calls: u32) -> Option<[f64; 3]> {
    let mut command = (contender.next)();
    command.args([INSIDE, &calls.to_string()]);
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let times: Vec<f64> = text.lines().filter_map(|line| line.parse().ok()).collect();
    times.try_into().ok()
}
