//! The table of peers: who stops what.

use crate::CLASSES;
use crate::attack::Verdict;
use crate::runners::{Runner, attempt};

const RUNNERS: &[(&str, Runner)] = &[
    ("bare", Runner::Bare),
    ("sandbox", Runner::Default),
    ("ci", Runner::Ci),
    ("bwrap", Runner::Bubblewrap),
    ("crun", Runner::Crun),
];

/// Prints a line an attack, and how many each stopped. Nothing is expected of others.
#[test]
#[ignore = "a comparison, not a test: tests/attacks/peers"]
fn the_table_of_peers() {
    let mut blocked = vec![0; RUNNERS.len()];
    let mut all = 0;
    for (class, attacks) in CLASSES {
        println!("\n{class}");
        for attack in *attacks {
            all += 1;
            let mut line = String::new();
            for (column, (_, runner)) in RUNNERS.iter().enumerate() {
                let harmful =
                    *runner == Runner::Bare && matches!(attack.bare, crate::attack::Bare::Never(_));
                let word = match (harmful, (!harmful).then(|| attempt(attack, *runner))) {
                    (true, _) | (_, None) => "-",
                    (_, Some(Verdict::Worked)) => "WORKS",
                    (_, Some(Verdict::Blocked(_))) => {
                        blocked[column] += 1;
                        "blocked"
                    }
                    (_, Some(Verdict::Unknown(said))) => {
                        eprintln!("{runner:?}, {}: {said}", attack.name);
                        "?"
                    }
                };
                line += &format!("{word:9}");
            }
            println!("  {line}{}", attack.what);
        }
    }
    println!();
    for ((name, _), blocked) in RUNNERS.iter().zip(blocked) {
        println!("{name:8} blocked {blocked} of {all}");
    }
}
