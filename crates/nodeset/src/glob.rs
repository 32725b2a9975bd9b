//! Shell-like wildcards in names: `*` is any text, `?` any one character. Brackets are ranges and have been expanded before.

/// Reports whether an operand is a mask rather than a name.
pub(crate) fn is_mask(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// Reports whether the whole name fits the mask. Linear in the name for every star: going back to the last star only is
/// enough.
pub(crate) fn fits(mask: &str, name: &str) -> bool {
    let (mask, name): (Vec<char>, Vec<char>) = (mask.chars().collect(), name.chars().collect());
    let (mut at, mut in_name) = (0, 0);
    let mut last_star = None;
    while in_name < name.len() {
        match mask.get(at) {
            Some('*') => {
                last_star = Some((at, in_name));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((star, taken)) = last_star else { return false };
                last_star = Some((star, taken + 1));
                at = star + 1;
                in_name = taken + 1;
            }
        }
    }
    mask[at..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks_match_the_whole_name() {
        assert!(fits("*", "") && fits("n*", "n1") && fits("*1", "node001") && fits("n?d*1", "node001"));
        assert!(!fits("n?", "n") && !fits("n*", "m1") && !fits("*1", "node10"));
        assert!(fits("a*b*c", "axxbxbc") && !fits("a*b*c", "axxbxb"));
        assert!(fits("?1", "é1"));
    }

    #[test]
    fn many_stars_do_not_hang() {
        assert!(!fits(&"*a".repeat(30), &"a".repeat(2_000).replace("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "b")));
    }
}
