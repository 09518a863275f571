//! `extends`: a profile and those that it lies on, the furthest first.

use super::find;
use super::node::{self, Table};
use super::table::{List, Value as _};
use super::variables::Variables;
use crate::diag::{Code, Diagnostic, Diagnostics, Origin, SourceId, Sources};

/// The most profiles that a run reads. Real ones have a handful; the bound is for a stranger's.
const MOST: usize = 64;

/// Reads a profile and everything that it extends. Each comes once, before all that extend it.
#[must_use]
pub fn collect(
    sources: &mut Sources,
    first: SourceId,
    variables: &Variables,
    problems: &mut Diagnostics,
) -> Vec<Table> {
    let mut walk = Walk {
        sources,
        variables,
        problems,
        open: Vec::new(),
        seen: vec![first],
        tables: Vec::new(),
    };
    walk.visit(first);
    walk.tables
}

struct Walk<'w> {
    sources: &'w mut Sources,
    variables: &'w Variables,
    problems: &'w mut Diagnostics,
    /// From the first profile to the one that is read, and by which line each was named.
    open: Vec<SourceId>,
    seen: Vec<SourceId>,
    tables: Vec<Table>,
}

impl Walk<'_> {
    fn visit(&mut self, id: SourceId) {
        let mut table = node::parse(self.sources, id, self.problems);
        self.open.push(id);
        let extends = table.remove("extends");
        let names = extends.and_then(|entry| List::<String>::read(entry.node, self.problems));
        for name in names.unwrap_or_default().0 {
            self.parent(id, &name.value, &name.origin);
        }
        self.open.pop();
        self.tables.push(table);
    }

    /// Reads what `child` extends under a name.
    fn parent(&mut self, child: SourceId, name: &str, origin: &Origin) {
        let Some(from) = self.sources.get(child) else {
            return;
        };
        let source = match find::extended(name, from, self.variables) {
            Ok(source) => source,
            Err(error) => {
                return self.problems.push(
                    Diagnostic::new(error.code(), origin, error.to_string()).help(error.remedy()),
                );
            }
        };
        let known = |id: &&SourceId| self.sources.get(**id).is_some_and(|s| s.is_same(&source));
        if let Some(at) = self.open.iter().position(|id| known(&id)) {
            let chain = self.open.iter().skip(at).chain([&self.open[at]]);
            let names = chain.filter_map(|id| self.sources.get(*id).map(|s| s.name()));
            let chain = names.collect::<Vec<_>>().join(", which extends ");
            return self.problems.push(
                Diagnostic::new(Code::ExtendsCycle, origin, "a profile that extends itself")
                    .here(chain)
                    .help("remove one of these"),
            );
        }
        if self.seen.iter().any(|id| known(&id)) {
            return;
        }
        if self.seen.len() >= MOST {
            return self.problems.push(
                Diagnostic::new(
                    Code::ExtendsCycle,
                    origin,
                    format!("more than {MOST} profiles that extend each other"),
                )
                .help("put what they share into one"),
            );
        }
        let id = self.sources.add(source);
        self.seen.push(id);
        self.visit(id);
    }
}
