//! What the two ends of a host's ssh say to each other: lines of words. Pure. `node.sh` has the other half.

use std::fmt::Write as _;

use super::topology::{Command, Input, Total};

/// What `host` has said, if it is one of its words: other lines come from login shells, and are nothing to us.
pub(super) fn report(host: usize, mark: &str, line: &[u8]) -> Option<Input> {
    let line = String::from_utf8_lossy(line);
    let said = line.trim_end().strip_prefix(mark)?.strip_prefix(' ')?;
    let (word, rest) = said.split_once(' ').unwrap_or((said, ""));
    let numbers: Vec<u64> = rest.split(' ').map_while(|word| word.parse().ok()).collect();
    Some(match (word, &numbers[..]) {
        ("listening", &[round, port, have]) => Input::Listening { host, round, port: u16::try_from(port).ok()?, have },
        ("taking", &[round]) => Input::Taking { host, round },
        ("have", &[have]) => Input::Have { host, have },
        // One that ended well is told by whoever was fed.
        ("over", &[attempt, status, ..]) if status != 0 => {
            let said = rest.splitn(3, ' ').nth(2).unwrap_or_default().trim();
            let said = if said.is_empty() { format!("netcat exited with {status}") } else { said.to_owned() };
            Input::NotFed { attempt, why: format!("its predecessor says: {said}") }
        }
        ("complete", []) => Input::Complete { host },
        ("placed", &[length, ..]) => {
            Input::Placed { host, total: Total { length, sum: sum(rest.split(' ').nth(1)?)? } }
        }
        ("failed", _) => Input::Failed { host, why: rest.to_owned() },
        _ => return None,
    })
}

/// The line by which a host hears an order, to whom it goes, and nothing for those that are not for hosts.
pub(super) fn instruction(order: &Command, address: impl Fn(usize) -> String) -> Option<(usize, String)> {
    use super::topology::Feeder;
    Some(match order {
        Command::Feed { attempt, from: Feeder::Host(from), host, port, offset } => {
            (*from, format!("connect {attempt} {} {port} {offset}\n", address(*host)))
        }
        Command::Again { host, round } => (*host, format!("again {round}\n")),
        Command::Tell { host, total } => (*host, format!("end {} {}\n", total.length, hexadecimal(&total.sum))),
        Command::Release { host } => (*host, "release\n".to_owned()),
        Command::Feed { from: Feeder::Here, .. }
        | Command::Start { .. }
        | Command::StopFeeding { .. }
        | Command::GiveUp { .. } => return None,
    })
}

/// What a connection begins with: the token of this run, so that nothing else is taken for the stream, and where in the
/// stream it begins, so that nothing is ever added at the wrong place.
pub(super) fn greeting(token: &str, offset: u64) -> String {
    format!("phalanx-chain {token} {offset:016}\n")
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes everything");
        text
    })
}

fn sum(text: &str) -> Option<[u8; 32]> {
    let mut sum = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in sum.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::super::topology::Feeder;
    use super::*;

    #[test]
    fn what_a_host_says_is_understood_and_noise_is_not() {
        let total = Total { length: 7, sum: [0xab; 32] };
        let placed = format!("m placed 7 {}", "ab".repeat(32));
        let table = [
            ("m listening 2 20001 99", Some(Input::Listening { host: 3, round: 2, port: 20001, have: 99 })),
            ("m taking 2", Some(Input::Taking { host: 3, round: 2 })),
            ("m have 5\r", Some(Input::Have { host: 3, have: 5 })),
            ("m over 4 0 ", None),
            (
                "m over 4 1 ",
                Some(Input::NotFed { attempt: 4, why: "its predecessor says: netcat exited with 1".into() }),
            ),
            ("m over 4 1 no 7", Some(Input::NotFed { attempt: 4, why: "its predecessor says: no 7".into() })),
            ("m complete", Some(Input::Complete { host: 3 })),
            (&placed, Some(Input::Placed { host: 3, total })),
            ("m failed the disk is full", Some(Input::Failed { host: 3, why: "the disk is full".into() })),
            ("m listening 2 70000 99", None),
            ("m listening 2", None),
            ("m placed 7 abc", None),
            ("welcome to m have 5", None),
            ("mhave 5", None),
            ("m", None),
            ("", None),
        ];
        for (line, expected) in table {
            assert_eq!(report(3, "m", line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn a_greeting_has_the_length_that_the_far_end_reads() {
        let token = hexadecimal(&[7; 16]);
        for offset in [0, 1 << 50] {
            assert_eq!(greeting(&token, offset).len(), 64);
        }
    }

    #[test]
    fn orders_become_lines_for_the_host_that_is_to_act() {
        let feed = |from| Command::Feed { attempt: 1, from, host: 2, port: 20000, offset: 9 };
        let said = |order| instruction(&order, |host| format!("n{host}"));
        assert_eq!(said(feed(Feeder::Host(0))), Some((0, "connect 1 n2 20000 9\n".into())));
        assert_eq!(said(feed(Feeder::Here)), None);
        assert_eq!(said(Command::Again { host: 1, round: 3 }), Some((1, "again 3\n".into())));
    }
}
