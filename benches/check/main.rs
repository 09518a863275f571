//! What checking a profile costs, by its size: `sandbox check` as a whole process, for profiles of
//! more and more mounts, turn by turn. Cost has to grow in proportion to size.
//!
//!     cargo bench --bench check [-- --runs 20 --sandbox ANOTHER_BINARY]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// How many mounts the profiles have.
const SIZES: &[usize] = &[0, 250, 500, 1000, 2000, 4000];

/// A profile of as many mounts.
fn profile(mounts: usize) -> String {
    let mut text = String::from("version = 1\n");
    for number in 0..mounts {
        let (folder, name) = (number / 100, number % 100);
        let _ = write!(
            text,
            "\n[[mounts]]\ntype = \"bind\"\nsource = \"/usr/share\"\ntarget = \"/srv/{folder}/{name}\"\nread_only = true\n"
        );
    }
    text
}

fn main() {
    let (mut runs, mut sandbox) = (20, PathBuf::from(env!("CARGO_BIN_EXE_sandbox")));
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--bench" {
            continue; // Cargo adds this one.
        }
        match (word.as_str(), words.next()) {
            ("--runs", Some(value)) => runs = value.parse().expect("a number of runs"),
            ("--sandbox", Some(value)) => sandbox = value.into(),
            (other, _) => panic!("unknown option {other}: there are --runs and --sandbox"),
        }
    }
    let folder = std::env::temp_dir().join(format!("sandbox-check-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let names: Vec<_> = SIZES.iter().map(|size| format!("{size}.toml")).collect();
    for (size, name) in SIZES.iter().zip(&names) {
        std::fs::write(folder.join(name), profile(*size)).unwrap();
    }
    let mut times = vec![Vec::new(); SIZES.len()];
    for round in 0..=runs {
        for (name, column) in names.iter().zip(&mut times) {
            let mut command = Command::new(&sandbox);
            command
                .args(["check", name])
                .current_dir(&folder)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let start = Instant::now();
            let status = command.status().unwrap();
            let time = start.elapsed().as_secs_f64() * 1e3;
            assert!(status.success(), "{name} is refused");
            // The first round warms up.
            if round > 0 {
                column.push(time);
            }
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let median = |column: &[f64]| {
        let mut sorted = column.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    println!("| mounts | median | above the empty one | for a thousand |");
    println!("|---|---|---|---|");
    for (size, column) in SIZES.iter().zip(&times) {
        let above: Vec<_> = column.iter().zip(&times[0]).map(|(a, b)| a - b).collect();
        let (whole, above) = (median(column), median(&above));
        let each = if *size == 0 {
            String::new()
        } else {
            format!("{:.2} ms", above * 1e3 / *size as f64)
        };
        println!("| {size} | {whole:.2} ms | {above:.2} ms | {each} |");
    }
}
