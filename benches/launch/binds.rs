//! What a mount costs: the default profile with 500 folders bound besides, read-only and to be written to.

use super::{Contender, bubblewrap, plan, sandbox_with};
use std::fs;
use std::path::Path;

/// How many.
pub(crate) const MANY: usize = 500;

/// The sandbox and bubblewrap, each without these mounts and with them.
pub(crate) fn contenders(program: &Path, project: &Path, scratch: &Path) -> Vec<Contender> {
    let mut list = Vec::new();
    for (count, names) in [
        (0, ["sandbox, 0", "bubblewrap, 0"]),
        (MANY, ["sandbox", "bubblewrap"]),
    ] {
        let profile = scratch.join(format!("{count}.toml"));
        let mut text = "version = 1\n".to_owned();
        for number in 0..count {
            let source = scratch.join(format!("source/{number}"));
            fs::create_dir_all(&source).unwrap();
            text += &format!(
                "[[mounts]]\ntype = \"bind\"\nsource = \"{}\"\ntarget = \"/bound/{number}\"\nread_only = {}\n",
                source.display(),
                number % 2 == 0
            );
        }
        fs::write(&profile, text).unwrap();
        let Some(plan) = plan::of(project, Some(&profile)) else {
            return Vec::new();
        };
        let folder = scratch.join(format!("filter-{count}"));
        fs::create_dir(&folder).unwrap();
        let [sandbox, peer] = names;
        let command = [crate::TRUE];
        list.push(sandbox_with(
            sandbox,
            program,
            project,
            Some(&profile),
            &command,
        ));
        list.push(Contender {
            name: peer,
            ..bubblewrap::contender(&plan, &folder, true)
        });
    }
    list
}

/// What one mount costs each: the medians with and without, and the difference by their number.
pub(crate) fn each(times: &[(&'static str, Vec<f64>)]) {
    let median = |wanted: &str| {
        let (_, column) = times.iter().find(|(name, _)| *name == wanted)?;
        let mut column = column.clone();
        column.sort_by(f64::total_cmp);
        column.get(column.len() / 2).copied()
    };
    for name in ["sandbox", "bubblewrap"] {
        if let (Some(with), Some(without)) = (median(name), median(&format!("{name}, 0"))) {
            let cost = (with - without) / MANY as f64 * 1e3;
            println!("  {name}: {cost:.1} µs for each mount");
        }
    }
}
