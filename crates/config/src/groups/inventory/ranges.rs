//! Ansible's ranges in names of hosts: `www[01:50].example.com`, `db-[a:f]`, `n[0:10:5]`.

/// The most hosts that one line may stand for.
const MOST: usize = 1_000_000;

/// All names that a pattern stands for; one without ranges stands for itself.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, inside, after)) = next_range(rest) {
        let values = values(inside).map_err(|why| format!("`[{inside}]` in `{pattern}` {why}"))?;
        if names.len().saturating_mul(values.len()) > MOST {
            return Err(format!("`{pattern}` stands for more than {MOST} hosts"));
        }
        let joined = names.iter().flat_map(|name| values.iter().map(move |value| format!("{name}{before}{value}")));
        names = joined.collect();
        rest = after;
    }
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok(names)
}

/// The text before the next range, what it is in brackets, and the text behind. Brackets around an IPv6 address are no range.
fn next_range(text: &str) -> Option<(&str, &str, &str)> {
    let open = text.find('[')?;
    let close = open + text[open..].find(']')?;
    let inside = &text[open + 1..close];
    let is_address = inside.contains("::") || inside.matches(':').count() > 2;
    (!is_address).then(|| (&text[..open], inside, &text[close + 1..]))
}

fn values(inside: &str) -> Result<Vec<String>, &'static str> {
    const WANTED: &str = "is no range of Ansible, such as [01:50], [a:f] or [0:10:5]";
    let parts: Vec<&str> = inside.split(':').collect();
    let (first, last, step) = match parts.as_slice() {
        [first, last] => (*first, *last, 1),
        [first, last, step] => (*first, *last, step.parse().ok().filter(|step| *step > 0).ok_or(WANTED)?),
        _ => return Err(WANTED),
    };
    let bounds = (first.bytes().next(), last.bytes().next());
    if let (1, 1, (Some(from), Some(to))) = (first.len(), last.len(), bounds)
        && ((from.is_ascii_lowercase() && to.is_ascii_lowercase())
            || (from.is_ascii_uppercase() && to.is_ascii_uppercase()))
    {
        return if from > to {
            Err("runs backwards")
        } else {
            Ok((from..=to).step_by(step).map(|byte| char::from(byte).to_string()).collect())
        };
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(first) || !is_number(last) {
        return Err(WANTED);
    }
    let from: usize = first.parse().map_err(|_| WANTED)?;
    let to: usize = last.parse().map_err(|_| WANTED)?;
    let padded = first.len() > 1 && first.starts_with('0');
    if padded && first.len() != last.len() {
        return Err("has bounds of different lengths, of which the first has a leading zero");
    }
    if from > to {
        return Err("runs backwards");
    }
    if (to - from) / step >= MOST {
        return Err("is too large");
    }
    let width = if padded { first.len() } else { 0 };
    Ok((from..=to).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_expanded_as_ansible_does() {
        for (pattern, expected) in [
            ("n1", "n1"),
            ("www[01:03].lab", "www01.lab www02.lab www03.lab"),
            ("n[8:10]", "n8 n9 n10"),
            ("db-[a:c]", "db-a db-b db-c"),
            ("n[0:10:5]", "n0 n5 n10"),
            ("r[1:2]n[1:2]:22", "r1n1:22 r1n2:22 r2n1:22 r2n2:22"),
            ("[::1]:22", "[::1]:22"),
            ("[2001:db8:0:1]", "[2001:db8:0:1]"),
            ("n[", "n["),
        ] {
            assert_eq!(expand(pattern).expect(pattern).join(" "), expected);
        }
        for pattern in [
            "n[1-3]",
            "n[3:1]",
            "n[c:a]",
            "n[a:3]",
            "n[1:9:0]",
            "n[01:100]",
            "n[]",
            "n[0:99999999]",
            "n[0:999][0:999][0:9]",
        ] {
            assert!(expand(pattern).is_err(), "{pattern}");
        }
    }
}
