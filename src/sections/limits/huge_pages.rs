//! `huge_pages`: the most of each size of them (Documentation/admin-guide/mm/hugetlbpage.rst).

use crate::diag::{At, Code, Diagnostic, Diagnostics};
use crate::plan::Draft;
use crate::plan::op::Limit;
use crate::profile::table::Map;
use crate::profile::value::Size;
use std::path::Path;

/// The smallest size that any machine has.
const LEAST: u64 = 16 << 10;

/// The limits, by the size of the pages.
pub(super) fn check(raw: Option<At<Map<Size>>>, problems: &mut Diagnostics) -> Vec<At<Limit>> {
    let mut limits: Vec<At<Limit>> = Vec::new();
    for (name, At { value, origin }) in raw.map(|map| map.value.0).unwrap_or_default() {
        let size = Size::parse(&name).filter(|size| size.0.is_power_of_two() && size.0 >= LEAST);
        let Some(page) = size else {
            let text = format!("`{name}` is no size of huge pages");
            problems.push(
                Diagnostic::new(Code::WrongValue, &origin, text)
                    .help("for example: huge_pages = { \"2M\" = \"512M\" }"),
            );
            continue;
        };
        if value.0 % page.0 != 0 {
            let text = format!("{value} are no whole number of pages of {page}");
            problems.push(
                Diagnostic::new(Code::WrongValue, &origin, text).help(format!(
                    "for example: \"{page}\" = \"{}\"",
                    Size(page.0 * 8)
                )),
            );
            continue;
        }
        let same = limits.iter().find(
            |limit| matches!(limit.value, Limit::HugePages { page: other, .. } if other == page.0),
        );
        if let Some(other) = same {
            let text = format!("pages of {page} are limited twice");
            problems.push(
                Diagnostic::new(Code::WrongValue, &origin, text)
                    .and(&other.origin, "also here")
                    .help("remove one of the two"),
            );
            continue;
        }
        let (page, bytes) = (page.0, value.0);
        limits.push(At::new(Limit::HugePages { page, bytes }, origin));
    }
    limits
}

/// Why there is nothing to limit: this machine has no pages of that size.
pub(super) fn lacking(limit: &Limit, draft: &Draft<'_>) -> Option<String> {
    let Limit::HugePages { page, .. } = limit else {
        return None;
    };
    let folder = Path::new("/sys/kernel/mm/hugepages");
    let name = |page: u64| format!("hugepages-{}kB", page >> 10);
    if draft.host.tree.exists(&folder.join(name(*page))) {
        return None;
    }
    let names = draft.host.tree.list(folder).unwrap_or_default();
    let sizes = names.iter().filter_map(|name| {
        let kilobytes = name.strip_prefix("hugepages-")?.strip_suffix("kB")?;
        Some(Size(kilobytes.parse::<u64>().ok()?.checked_mul(1024)?).to_string())
    });
    let sizes: Vec<_> = sizes.collect();
    let has = match sizes.is_empty() {
        true => "none".into(),
        false => sizes.join(", "),
    };
    Some(format!(
        "this machine has no huge pages of {}; it has: {has}",
        Size(*page)
    ))
}
