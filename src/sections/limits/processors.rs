//! Lists of processors, as cpuset(7) has them.

/// The processors of a list that was checked.
pub(crate) fn cpus(list: &str) -> Vec<(u64, u64)> {
    list.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some((first.parse().ok()?, last.parse().ok()?))
        })
        .collect()
}

/// How many processors a list names, if it is one.
pub(crate) fn processors(list: &str) -> Option<u32> {
    if !is_cpu_list(list) {
        return None;
    }
    let mut ranges: Vec<(u32, u32)> = list
        .split(',')
        .filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some((from.parse().ok()?, to.parse().ok()?))
        })
        .collect();
    ranges.sort_unstable();
    let (mut held, mut next) = (0, 0);
    for (from, to) in ranges {
        let from = from.max(next);
        if from <= to {
            held += to - from + 1;
            next = to + 1;
        }
    }
    Some(held)
}

/// The list format of cpuset(7).
pub(crate) fn is_cpu_list(text: &str) -> bool {
    let number = |text: &str| {
        text.parse::<u32>()
            .ok()
            .filter(|n| *n < 65_536 && !text.starts_with('+'))
    };
    !text.is_empty()
        && text.split(',').all(|part| match part.split_once('-') {
            Some((from, to)) => matches!((number(from), number(to)), (Some(f), Some(t)) if f <= t),
            None => number(part).is_some(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_once() {
        assert_eq!(processors("0-3,7"), Some(5));
        assert_eq!(processors("2,0-3,1-1,3-4"), Some(5));
        assert_eq!(processors("3-1"), None);
    }

    #[test]
    fn cpu_lists() {
        for right in ["0", "0-3", "0-3,7", "1,2,3"] {
            assert!(is_cpu_list(right), "{right}");
        }
        for wrong in ["", "a", "3-1", "0-", ",", "-1", "+1", "0;1", "99999"] {
            assert!(!is_cpu_list(wrong), "{wrong}");
        }
    }
}
