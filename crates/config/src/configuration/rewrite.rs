//! Rewrites the address of a host into the one to connect to, as data: a template, or a pattern and its replacement.
//! execo has a function here, which a file cannot hold.

use phalanx_process::ssh::HostRewrite;
use regex::Regex;

/// The placeholder of the address in a template.
const HOST: &str = "{{{host}}}";

/// A rule that rewrites addresses.
#[derive(Debug, Clone)]
pub enum Rewrite {
    /// `{{{host}}}.example.org`: a text with the address in it.
    Template(String),
    /// Replaces the matches of a pattern; an address without a match stays as it is.
    Pattern {
        /// A regular expression.
        find: Regex,
        /// The replacement; `$1` is the match of the first group.
        replace: String,
    },
}

impl Rewrite {
    /// Makes a rule from a template.
    ///
    /// # Errors
    /// When the address is not in it: all hosts would become one.
    pub fn template(text: &str) -> Result<Self, String> {
        if text.contains(HOST) {
            return Ok(Self::Template(text.to_owned()));
        }
        Err(format!("{text:?} would make every host the same; put {HOST} where its address belongs"))
    }

    /// Returns the address to connect to.
    #[must_use]
    pub fn apply(&self, address: &str) -> String {
        match self {
            Self::Template(text) => text.replace(HOST, address),
            Self::Pattern { find, replace } => find.replace(address, replace.as_str()).into_owned(),
        }
    }

    /// Converts it into a parameter of connections.
    #[must_use]
    pub fn function(&self) -> HostRewrite {
        let rule = self.clone();
        HostRewrite::new(move |address| rule.apply(address))
    }
}

impl PartialEq for Rewrite {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Template(ours), Self::Template(theirs)) => ours == theirs,
            (Self::Pattern { find, replace }, Self::Pattern { find: other, replace: others }) => {
                find.as_str() == other.as_str() && replace == others
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_rewritten_by_a_template_or_by_a_pattern() {
        let template = Rewrite::template("{{{host}}}.example.org").unwrap();
        assert_eq!(template.apply("n1"), "n1.example.org");
        assert!(Rewrite::template("gate").unwrap_err().contains("every host the same"));
        let find = Regex::new("^node([0-9]+)$").unwrap();
        let pattern = Rewrite::Pattern { find, replace: "n$1.lan".into() };
        assert_eq!(["node12", "login"].map(|address| pattern.apply(address)), ["n12.lan", "login"]);
        assert_ne!(template, pattern);
    }
}
