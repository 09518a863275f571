//! What would pass by the ports of `[network] connect_ports` and `bind_ports`: Landlock knows TCP alone.

use super::policy::{Answer, Case, Verdict};
use crate::review::arguments::{Is, Row, Test};
use syscalls::Sysno;

/// SCTP, SMC and MPTCP, which carry streams too; the last two become TCP on their way.
const OTHER_STREAMS: [u64; 3] = [132, 256, 262];

/// AF_SMC.
const SMC: u64 = 43;

/// MSG_FASTOPEN, which connects without connect(2).
const FAST_OPEN: u64 = 0x2000_0000;

const fn test(arg: u8, is: Is) -> Test {
    Test {
        arg,
        wide: false,
        is,
    }
}

/// The verdict, with what passes by refused before anything is permitted.
#[must_use]
pub(super) fn bounded(call: Sysno, mut verdict: Verdict) -> Verdict {
    if !verdict.permits_some() {
        return verdict;
    }
    let flags = |arg| {
        (
            vec![vec![test(arg, Is::Masked(FAST_OPEN, FAST_OPEN))]],
            "flags ask for TCP Fast Open",
            libc::EOPNOTSUPP,
        )
    };
    let (rows, words, errno): (Vec<Row>, _, _) = match call {
        Sysno::socket => {
            let protocols = OTHER_STREAMS.map(|number| vec![test(2, Is::Equal(number))]);
            let rows = protocols.into_iter().chain([vec![test(0, Is::Equal(SMC))]]);
            (
                rows.collect(),
                "protocol is SCTP, SMC or MPTCP, whose ports nobody bounds",
                libc::EPROTONOSUPPORT,
            )
        }
        Sysno::sendto | Sysno::sendmmsg => flags(3),
        Sysno::sendmsg => flags(2),
        _ => return verdict,
    };
    let case = Case {
        rows: rows.into(),
        words: Some(words.into()),
        answer: Answer::Errno(errno),
    };
    verdict.cases.insert(0, case);
    verdict
}
