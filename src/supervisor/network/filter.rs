//! A table of nftables, made over netlink.
//!
//! It belongs to the socket that has made it (`NFT_TABLE_F_OWNER`): nobody else can change it, and the kernel
//! removes it when the socket is closed, as it is at the end of its process, however that comes.

use crate::host::netlink::Netlink;
use crate::host::nftables::{
    Base, Batch, Expression, REGISTER_1, REGISTER_2, Verdict, came_by, carries, compare,
    destination, expression, hook, immediate, is_published, leaves_by, number, octets, payload,
    port, source, verdict, version,
};
use crate::plan::op::network::{Protocol, Published, Rule};
use std::net::IpAddr;

/// Makes a table with these rules. It is there as long as what is returned.
pub(super) fn make(name: &str, rules: &[Rule]) -> nix::Result<Netlink> {
    let mut batch = Batch::new(name, true);
    let rules: Vec<_> = rules.iter().flat_map(expressions).collect();
    for chain in Chain::ALL {
        if rules.iter().any(|(of, _)| *of == chain) {
            let (name, base) = chain.place();
            batch.chain(name, Some(base));
        }
    }
    for (chain, expressions) in rules {
        batch.rule(chain.place().0, &expressions);
    }
    let mut socket = Netlink::netfilter()?;
    socket.batch(&batch.finish())?;
    Ok(socket)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chain {
    /// What is handed on.
    Forward,
    /// What arrives.
    Prerouting,
    /// What the host itself sends.
    Output,
    /// What leaves.
    Postrouting,
}

impl Chain {
    const ALL: [Self; 4] = [
        Self::Forward,
        Self::Prerouting,
        Self::Output,
        Self::Postrouting,
    ];

    /// Its name, and where it stands (`NF_IP_PRI_FILTER`, `_NAT_DST`, `_NAT_SRC`).
    const fn place(self) -> (&'static str, Base) {
        let (name, kind, hook, priority) = match self {
            Self::Forward => ("forward", "filter", hook::FORWARD, 0),
            Self::Prerouting => ("prerouting", "nat", hook::PRE_ROUTING, -100),
            Self::Output => ("output", "nat", hook::LOCAL_OUT, -100),
            Self::Postrouting => ("postrouting", "nat", hook::POST_ROUTING, 100),
        };
        let drops = false;
        (
            name,
            Base {
                kind,
                hook,
                priority,
                drops,
            },
        )
    }
}

/// What a rule comes to.
fn expressions(rule: &Rule) -> Vec<(Chain, Vec<Expression>)> {
    match rule {
        Rule::Masquerade { from, but } => {
            let mut all = version(from.is_ipv4()).to_vec();
            all.extend([source(from.is_ipv4()), compare(true, &octets(*from))]);
            all.extend(leaves_by(false, but));
            all.push(expression("masq", &[]));
            vec![(Chain::Postrouting, all)]
        }
        Rule::Keep { on } => {
            let answers = [
                &came_by(on)[..],
                &is_published(),
                &[verdict(Verdict::Accept)],
            ]
            .concat();
            let others = [&came_by(on)[..], &[verdict(Verdict::Drop)]].concat();
            vec![(Chain::Forward, answers), (Chain::Forward, others)]
        }
        Rule::MasqueradeInwards {
            to,
            by,
            loopback_only,
        } => {
            let ipv4 = to.is_ipv4();
            let mut all = version(ipv4).to_vec();
            all.extend([destination(ipv4), compare(true, &octets(*to))]);
            match (*loopback_only, ipv4) {
                (false, _) => {}
                (true, true) => all.extend([payload(1, 12, 1), compare(true, &[127])]),
                (true, false) => {
                    let loopback = std::net::Ipv6Addr::LOCALHOST;
                    all.extend([source(false), compare(true, &loopback.octets())]);
                }
            }
            all.extend(leaves_by(true, by));
            all.push(expression("masq", &[]));
            vec![(Chain::Postrouting, all)]
        }
        Rule::Publish {
            published,
            to,
            loopback,
        } => [Chain::Prerouting, Chain::Output]
            .map(|chain| (chain, publish(published, *to, *loopback)))
            .to_vec(),
    }
}

fn publish(published: &Published, to: IpAddr, loopback: bool) -> Vec<Expression> {
    let ipv4 = to.is_ipv4();
    let mut all = version(ipv4).to_vec();
    match published.address {
        Some(address) => all.extend([destination(ipv4), compare(true, &octets(address))]),
        None => {
            // Any address of this host: `RTN_LOCAL` of the destination.
            let addrtype = [number(1, REGISTER_1), number(2, 3), number(3, 2)];
            all.push(expression("fib", &addrtype));
            all.push(compare(true, &2u32.to_ne_bytes()));
            if !loopback && ipv4 {
                all.extend([payload(1, 16, 1), compare(false, &[127])]);
            } else if !loopback {
                let own = std::net::Ipv6Addr::LOCALHOST;
                all.extend([destination(false), compare(false, &own.octets())]);
            }
        }
    }
    let protocol = match published.protocol {
        Protocol::Tcp => libc::IPPROTO_TCP,
        Protocol::Udp => libc::IPPROTO_UDP,
    };
    all.extend(carries(protocol));
    all.extend([port(), compare(true, &published.port.to_be_bytes())]);
    all.push(immediate(REGISTER_1, &octets(to)));
    all.push(immediate(REGISTER_2, &published.inside.to_be_bytes()));
    // `NFT_NAT_DNAT`, the family, and the registers of address and port.
    let family = if ipv4 { 2 } else { 10 };
    let nat = [
        number(1, 1),
        number(2, family),
        number(3, REGISTER_1),
        number(5, REGISTER_2),
    ];
    all.push(expression("nat", &nat));
    all
}
