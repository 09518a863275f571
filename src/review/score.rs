//! The exposure: how open a profile is, from 0.0 (tight) to 10.0 (open).
//!
//! Made as `systemd-analyze security` makes that of a unit: every area has a weight and a badness,
//! and the exposure is the weighted mean of the badness. The badness of an area is the sum of the
//! shares of its grants, at most the whole; so no grant lowers the exposure. The words and their
//! thresholds are systemd's.
//!
//! It tells how much a profile permits, not whether the command is dangerous.

use super::grant::{Area, Grant, WHOLE};
use std::fmt;

/// An exposure, in tenths: 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exposure(pub u32);

impl Exposure {
    /// `perfect`, `safe`, `ok`, `medium`, `exposed`, `unsafe`, `dangerous`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self.0 {
            0 => "perfect",
            1..10 => "safe",
            10..50 => "ok",
            50..75 => "medium",
            75..90 => "exposed",
            90..100 => "unsafe",
            _ => "dangerous",
        }
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

/// An exposure and what it is made of.
#[derive(Clone, Debug)]
pub struct Score<'g> {
    /// The exposure, rounded up: only what permits nothing has 0.0.
    pub exposure: Exposure,
    /// What contributes, the most first; all together are the exposure.
    pub parts: Vec<Part<'g>>,
}

/// What one grant contributes.
#[derive(Clone, Debug)]
pub struct Part<'g> {
    /// The grants: several where they are of one kind and one line asks for them.
    pub grants: Vec<&'g Grant>,
    /// What they add to the exposure, from 0.0 to 10.0.
    pub adds: f64,
}

impl Part<'_> {
    /// What is permitted, as words after "may".
    #[must_use]
    pub fn words(&self) -> String {
        super::compare::words(&self.grants)
    }
}

/// The exposure of a list of grants.
#[must_use]
pub fn score(grants: &[Grant]) -> Score<'_> {
    let weights: u32 = Area::ALL.iter().map(|area| area.weight()).sum();
    let mut sum: u32 = 0;
    let mut parts: Vec<Part<'_>> = Vec::new();
    for area in Area::ALL {
        let bad = grants
            .iter()
            .filter(|grant| grant.area == *area && grant.share > 0);
        let all: u64 = bad.clone().map(|grant| u64::from(grant.share)).sum();
        let badness = u32::try_from(all).unwrap_or(WHOLE).min(WHOLE);
        sum += area.weight() * badness;
        let most = f64::from(area.weight() * badness) * 10.0 / f64::from(weights * WHOLE);
        for grant in bad {
            let adds = most * f64::from(grant.share) / all as f64;
            let kind = grant.member.as_ref();
            match kind.and_then(|_| parts.iter_mut().find(|part| same_kind(part, grant))) {
                Some(part) => {
                    part.grants.push(grant);
                    part.adds += adds;
                }
                None => parts.push(Part {
                    grants: vec![grant],
                    adds,
                }),
            }
        }
    }
    parts.sort_by(|one, other| other.adds.total_cmp(&one.adds));
    Score {
        exposure: Exposure((sum * 10).div_ceil(weights * WHOLE / 10)),
        parts,
    }
}

fn same_kind(part: &Part<'_>, grant: &Grant) -> bool {
    let verb = |grant: &Grant| grant.member.as_ref().map(|member| member.verb.clone());
    part.grants.first().is_some_and(|first| {
        first.member.is_some() && first.origin == grant.origin && verb(first) == verb(grant)
    })
}

#[cfg(test)]
mod tests {
    use super::super::grant::Extent;
    use super::*;
    use crate::diag::Origin;

    fn grant(area: Area, share: u32) -> Grant {
        let origin = Origin::Default("test");
        Grant::new(area, "k", Extent::Rank(1), "do it", &origin).share(share)
    }

    #[test]
    fn it_goes_from_0_to_10() {
        assert_eq!(score(&[]).exposure, Exposure(0));
        let open: Vec<_> = Area::ALL.iter().map(|area| grant(*area, WHOLE)).collect();
        assert_eq!(score(&open).exposure, Exposure(100));
        let more: Vec<_> = open.iter().chain(&open).cloned().collect();
        assert_eq!(score(&more).exposure, Exposure(100));
        let least = score(&[grant(Area::Process, 1)]).exposure;
        assert_eq!((least.to_string().as_str(), least.word()), ("0.1", "safe"));
    }

    #[test]
    fn its_parts_add_up() {
        let grants = [
            grant(Area::Network, 7_000),
            grant(Area::Network, 7_000),
            grant(Area::Filesystem, 100),
        ];
        let score = score(&grants);
        let sum: f64 = score.parts.iter().map(|part| part.adds).sum();
        assert_eq!((sum * 10.0).ceil() as u32, score.exposure.0);
        assert!(score.parts.is_sorted_by(|a, b| a.adds >= b.adds));
    }
}
