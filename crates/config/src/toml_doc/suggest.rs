//! Suggests the known word that was probably meant.

/// Returns the known word nearest to `given`, if any is near: one change for every three characters, where capitals and
/// the kind of dash do not count.
#[must_use]
pub fn suggest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let given = plain(given);
    let allowed = (given.chars().count() / 3).max(1);
    let distance = |word: &str| strsim::osa_distance(&given, &plain(word));
    let near = known.into_iter().map(|word| (distance(word), word)).filter(|(distance, _)| *distance <= allowed);
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// Quotes the words and joins them: `` `a`, `b`, `c` ``.
#[must_use]
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_has_a_suggestion_and_another_word_has_none() {
        let known = ["user", "port", "ssh_options", "scp_options", "kill_timeout"];
        for (given, expected) in [
            ("usr", Some("user")),
            ("users", Some("user")),
            ("prot", Some("port")),
            ("ssh-options", Some("ssh_options")),
            ("SSH_Options", Some("ssh_options")),
            ("scpoptions", Some("scp_options")),
            ("kill_time", Some("kill_timeout")),
            ("kil_timeuot", Some("kill_timeout")),
            ("hosts", None),
            ("", None),
            ("été", None),
        ] {
            assert_eq!(suggest(given, known), expected, "{given}");
        }
    }
}
