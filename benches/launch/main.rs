//! Launch time: `true`, bare and inside of sandboxes that isolate it in the same way.
//!
//! The contenders run turn by turn (A B C D, A B C D, …) with a gap before each launch, so that
//! they see the same machine: the ratios inside one run mean something, its absolute times do not.
//! What bubblewrap and crun are told is derived from the very plan that `sandbox` runs.
//!
//!     cargo bench --bench launch [-- --runs 200 --gap 20 --sandbox ANOTHER_BINARY]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

mod binds;
mod bubblewrap;
mod crun;
mod exec;
mod overlay;
mod plan;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A way to launch the command.
struct Contender {
    name: &'static str,
    /// The command line of its next launch: some need a new name or an open file each time.
    next: Box<dyn FnMut() -> Command>,
}

struct Options {
    runs: usize,
    gap: Duration,
    sandbox: PathBuf,
}

/// The command that is launched.
const TRUE: &str = "/usr/bin/true";

const LIMITS: &str = "version = 1\n[limits]\npids = 100\nmemory = \"512M\"\ncpu = 1.0\n";

fn main() {
    let options = options();
    let scratch = Scratch::new();
    let bare = || Contender {
        name: "bare",
        next: Box::new(|| Command::new(TRUE)),
    };
    let project = scratch.folder("project");
    fs::create_dir(project.join(".git")).unwrap();
    let profile = project.join("limits.toml");
    fs::write(&profile, LIMITS).unwrap();
    std::env::set_current_dir(&project).unwrap();

    println!("Launch of `true` under the default profile");
    let plan = plan::of(&project, None).unwrap();
    let contenders = vec![
        bare(),
        sandbox(&options.sandbox, &project, None),
        bubblewrap::contender(&plan, &scratch.folder("bubblewrap"), true),
        bubblewrap::contender(&plan, &scratch.folder("bubblewrap-light"), false),
        crun::contender(&plan, &scratch.folder("crun"), None),
    ];
    table::print(&measure(contenders, &options), &["bare", "bubblewrap"]);

    println!("\nJoining one that runs, beside a launch");
    let (joining, open) =
        exec::contenders(&options.sandbox, &project, &plan, &scratch.folder("exec"));
    let mut contenders = vec![bare(), sandbox(&options.sandbox, &project, None)];
    contenders.extend(joining);
    table::print(&measure(contenders, &options), &["bare", "sandbox"]);
    drop(open);

    println!("\nLaunch over a root of 100 MB in 10,000 files");
    let over = overlay::contenders(&options.sandbox, &project, &scratch.folder("overlay"));
    table::print(&measure(over, &options), &["read-only"]);

    println!("\nThe same with {} mounts more", binds::MANY);
    let bound = binds::contenders(&options.sandbox, &project, &scratch.folder("binds"));
    let times = measure(bound, &options);
    table::print(&times, &["bubblewrap"]);
    binds::each(&times);

    networks(&options, &scratch);

    println!("\nThe same as the first with limits on pids, memory and cpu");
    let Some(plan) = plan::of(&project, Some(&profile)) else {
        return;
    };
    let contenders = vec![
        bare(),
        sandbox(&options.sandbox, &project, Some(&profile)),
        crun::contender(
            &plan,
            &scratch.folder("crun-limits"),
            Some(crun::Limits {
                pids: 100,
                memory: 512 << 20,
                cpu_quota: 100_000,
            }),
        ),
    ];
    table::print(&measure(contenders, &options), &["bare", "crun"]);
}

/// What each network costs: one sandbox a mode, the first being without any.
fn networks(options: &Options, scratch: &Scratch) {
    println!("\nThe same with each network");
    let modes = [
        ("none", "mode = \"none\""),
        ("loopback", "mode = \"loopback\""),
        ("host", "mode = \"host\""),
        ("veth", "mode = \"veth\""),
        (
            "veth, published",
            "mode = \"veth\"\npublish = [\"127.0.0.1:48080:8080\"]",
        ),
        ("user", "mode = \"user\""),
        (
            "user, published",
            "mode = \"user\"\npublish = [\"127.0.0.1:48081:8080\"]",
        ),
    ];
    let project = scratch.folder("networks");
    fs::create_dir(project.join(".git")).unwrap();
    let mut contenders = Vec::new();
    for (number, (name, keys)) in modes.into_iter().enumerate() {
        let profile = project.join(format!("{number}.toml"));
        fs::write(&profile, format!("version = 1\n[network]\n{keys}\n")).unwrap();
        if plan::of(&project, Some(&profile)).is_some() {
            contenders.push(Contender {
                name,
                ..sandbox(&options.sandbox, &project, Some(&profile))
            });
        }
    }
    table::print(&measure(contenders, options), &["none", "loopback"]);
}

fn options() -> Options {
    let mut options = Options {
        runs: 100,
        gap: Duration::from_millis(20),
        sandbox: env!("CARGO_BIN_EXE_sandbox").into(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().expect("a value");
        match word.as_str() {
            // Cargo adds this one.
            "--bench" => {}
            "--runs" => options.runs = value().parse().expect("a number of runs"),
            "--gap" => {
                options.gap = Duration::from_millis(value().parse().expect("milliseconds"));
            }
            "--sandbox" => options.sandbox = value().into(),
            other => panic!("unknown option {other}: there are --runs, --gap and --sandbox"),
        }
    }
    options
}

fn sandbox(program: &Path, project: &Path, profile: Option<&Path>) -> Contender {
    sandbox_with("sandbox", program, project, profile, &[TRUE])
}

fn sandbox_with(
    name: &'static str,
    program: &Path,
    project: &Path,
    profile: Option<&Path>,
    words: &[&'static str],
) -> Contender {
    let (program, project) = (program.to_owned(), project.to_owned());
    let profile = profile.map(Path::to_owned);
    let words = words.to_vec();
    Contender {
        name,
        next: Box::new(move || {
            let mut command = Command::new(&program);
            command.args(
                profile
                    .iter()
                    .flat_map(|path| [Path::new("--profile"), path]),
            );
            command.arg("--").args(&words);
            plan::environment(&mut command, &project);
            command
        }),
    }
}

/// The times of all contenders that work here, in milliseconds, a column each.
fn measure(contenders: Vec<Contender>, options: &Options) -> Vec<(&'static str, Vec<f64>)> {
    let mut here: Vec<Contender> = contenders.into_iter().filter_map(works).collect();
    let mut times: Vec<_> = here
        .iter()
        .map(|one| (one.name, Vec::with_capacity(options.runs)))
        .collect();
    const WARM_UP: usize = 3;
    for round in 0..options.runs + WARM_UP {
        for (one, (name, column)) in here.iter_mut().zip(&mut times) {
            let mut command = (one.next)();
            command.stdout(Stdio::null()).stderr(Stdio::null());
            std::thread::sleep(options.gap);
            let start = Instant::now();
            let status = command.status().unwrap();
            let time = start.elapsed().as_secs_f64() * 1e3;
            assert!(status.success(), "{name} failed in round {round}: {status}");
            if round >= WARM_UP {
                column.push(time);
            }
        }
    }
    times
}

/// The contender, if it is installed and launches the command; else says why not.
fn works(mut contender: Contender) -> Option<Contender> {
    let name = contender.name;
    let problem = match (contender.next)().stdout(Stdio::null()).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "it is not installed".into(),
        Err(error) => error.to_string(),
        Ok(output) if output.status.success() => return Some(contender),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            let line = text.lines().find(|line| !line.is_empty());
            format!("{}: {}", output.status, line.unwrap_or("no message"))
        }
    };
    println!("  {name} is left out: {problem}");
    None
}

/// A folder for the run, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("sandbox-launch-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn folder(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir(&path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::env::set_current_dir("/");
        let _ = fs::remove_dir_all(&self.0);
    }
}
