//! The text that `sandbox init` writes: the grants of the built-in profiles of all kinds that were
//! found, in one file that says everything by itself.

use super::Found;
use crate::profile::find;
use std::fmt::Write as _;
use toml::de::{DeArray, DeTable, DeValue};

/// The widest line of a list.
const WIDTH: usize = 100;

/// What is granted, as it is written in the built-in profiles.
#[derive(Default)]
struct Grants {
    mounts: Vec<String>,
    inherit: Vec<String>,
    set: Vec<String>,
}

impl Grants {
    /// Adds those of a built-in profile that are not there yet.
    fn add(&mut self, profile: &str) {
        let Some(source) = find::built_in(profile) else {
            return;
        };
        let text = source.text();
        let (table, _) = DeTable::parse_recoverable(text);
        let table = table.get_ref();
        let environment = table
            .get("environment")
            .and_then(|t| t.get_ref().as_table());
        let list = |value: Option<&DeArray<'_>>| {
            let spans: Vec<_> = value.into_iter().flatten().map(|v| v.span()).collect();
            let texts = spans.into_iter().filter_map(|span| text.get(span));
            texts.map(str::to_owned).collect::<Vec<_>>()
        };
        let array = |table: &DeTable<'_>, key: &str| {
            list(table.get(key).and_then(|value| value.get_ref().as_array()))
        };
        add(&mut self.mounts, array(table, "mounts"));
        let Some(environment) = environment else {
            return;
        };
        add(&mut self.inherit, array(environment, "inherit"));
        if let Some(DeValue::Table(set)) = environment.get("set").map(|set| set.get_ref()) {
            let pairs = set.iter().filter_map(|(name, value)| {
                Some(format!("{} = {}", name.get_ref(), text.get(value.span())?))
            });
            add(&mut self.set, pairs.collect());
        }
    }
}

fn add(to: &mut Vec<String>, more: Vec<String>) {
    for one in more {
        if !to.contains(&one) {
            to.push(one);
        }
    }
}

/// The profile for what was found.
pub(super) fn text(found: &[Found]) -> String {
    let mut grants = Grants::default();
    for found in found {
        grants.add(found.kind.profile);
    }
    let names: Vec<_> = found.iter().map(|found| found.kind.name).collect();
    let mut out = String::from(
        "# What commands of this project may see and use. In this folder, and below it,\n#\n",
    );
    if found.is_empty() {
        out += "#     sandbox -- COMMAND\n";
    }
    for found in found {
        let _ = writeln!(out, "#     sandbox -- {}", found.kind.command);
    }
    out += "#\n# runs under it; `sandbox explain` prints what that means, `sandbox doctor` says whether this\n\
            # machine can do it. What is not said here has a safe default: the project is writable, the\n\
            # host's programs and libraries are read-only, the home and /tmp are empty, and there is no\n\
            # network but loopback.\n";
    let before: Vec<_> = found.iter().filter_map(|found| found.kind.before).collect();
    if !before.is_empty() {
        let _ = writeln!(
            out,
            "# To be downloaded before, outside: {}.",
            before.join(", ")
        );
    }
    out += "version = 1\n";
    let _ = match names.is_empty() {
        true => writeln!(
            out,
            "description = \"Run this project's commands, offline\""
        ),
        false => writeln!(
            out,
            "description = \"Build and test this project ({}), offline\"",
            names.join(", ")
        ),
    };
    mounts(&mut out, &grants);
    environment(&mut out, &grants);
    out += "\n\
        # What a run may use at most. Without root this needs a cgroup that is delegated to the user;\n\
        # where there is none, a run with limits is refused.\n\
        # [limits]\n\
        # pids = 1024\n\
        # memory = \"4G\"\n\
        # cpu = 2.0\n\
        # wall_time = \"30m\"\n\
        \n\
        # The network, for the rare command that cannot do without.\n\
        # [network]\n\
        # mode = \"host\"\n\
        \n\
        # What has to hold, whatever the rest comes to say: `sandbox test` tries it.\n\
        [[test]]\n\
        name = \"the machine stays as it is\"\n\
        cannot_write = [\"/usr\", \"/etc\"]\n\
        cannot_call = [\"mount\", \"bpf\"]\n\
        \n\
        [[test]]\n\
        name = \"secrets stay outside\"\n\
        environment_has_not = [\"*_TOKEN\", \"*_PASSWORD\", \"SSH_AUTH_SOCK\"]\n";
    out
}

fn mounts(out: &mut String, grants: &Grants) {
    if grants.mounts.is_empty() {
        *out += "\n# More of the host, read-only unless it says `read_only = false`:\n\
                 # mounts = [\n#     { type = \"bind\", target = \"/srv/dataset\" },\n# ]\n";
        return;
    }
    *out += "\n# What the tools keep in your home: read-only, without the files that hold tokens. What is not\n\
             # there is left out.\nmounts = [\n";
    for mount in &grants.mounts {
        let _ = writeln!(out, "    {mount},");
    }
    *out += "]\n";
}

fn environment(out: &mut String, grants: &Grants) {
    *out += "\n[environment]\n# Variables of yours that the tools are told, besides a few harmless ones. Tokens stay outside:\n\
             # do not write `*` where a name will do.\n";
    let mut line = String::from("   ");
    *out += "inherit = [";
    if grants.inherit.is_empty() {
        *out += "]\n";
    } else {
        out.push('\n');
        for name in &grants.inherit {
            if line.len() + name.len() + 2 > WIDTH {
                let _ = writeln!(out, "{line}");
                line = String::from("   ");
            }
            let _ = write!(line, " {name},");
        }
        let _ = writeln!(out, "{line}\n]");
    }
    if !grants.set.is_empty() {
        let _ = writeln!(out, "\n[environment.set]\n{}", grants.set.join("\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds::KINDS;
    use super::*;
    use crate::diag::{Source, Sources};
    use crate::profile::overlay::Overlay;
    use crate::profile::variables::Variables;
    use crate::sections::{self, Profile};

    fn variables() -> Variables {
        Variables {
            home: Some("/home/ada".into()),
            working_directory: Some("/srv/thing".into()),
            project: Some("/srv/thing".into()),
            temporary: "/tmp".into(),
            uid: 1000,
            gid: 1000,
            environment: std::collections::BTreeMap::new(),
        }
    }

    fn load(source: Source) -> Profile {
        let mut sources = Sources::default();
        let id = sources.add(source);
        match sections::load(&mut sources, id, &variables(), &Overlay::default()) {
            Ok((profile, warnings)) => {
                assert!(warnings.is_empty(), "{}", warnings.render(&sources, false));
                profile
            }
            Err(problems) => panic!("{}", problems.render(&sources, false)),
        }
    }

    /// Whatever stands together in a folder.
    #[test]
    fn every_set_of_kinds_gives_a_profile_without_mistakes() {
        for set in 0..1u32 << KINDS.len() {
            let found: Vec<_> = KINDS
                .iter()
                .enumerate()
                .filter(|(number, _)| set & (1 << number) != 0)
                .map(|(_, kind)| Found {
                    kind,
                    mark: kind.marks[0],
                })
                .collect();
            let text = text(&found);
            assert!(text.lines().all(|l| l.len() <= WIDTH + 20), "{text}");
            load(Source::new("sandbox.toml", text));
        }
    }

    /// One kind alone is granted exactly what its built-in profile grants.
    #[test]
    fn the_grants_are_those_of_the_built_in_profile() {
        let values = |text: &str| {
            let mut table: toml::Table = text.parse().unwrap();
            assert!(table.remove("version").is_some());
            assert!(table.remove("description").is_some());
            // What is asserted grants nothing.
            table.remove("test");
            table
        };
        for kind in KINDS {
            let found = [Found {
                kind,
                mark: kind.marks[0],
            }];
            let shipped = find::built_in(kind.profile).unwrap();
            assert_eq!(values(&text(&found)), values(shipped.text()), "{kind:?}");
        }
    }
}
