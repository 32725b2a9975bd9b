//! `host: line`, as lines come, stdout on stdout and stderr on stderr, never two lines mixed.

use std::collections::HashMap;

use memchr::memchr_iter;
use phalanx_process::event::Stream;

use super::ShowError;
use super::partial::Partial;
use super::screen::{Colours, Screen};

/// The colours that clush users know: bright blue for stdout, bright red for stderr.
const STDOUT_COLOUR: &str = "\x1b[94m";
const STDERR_COLOUR: &str = "\x1b[91m";
const NO_COLOUR: &str = "\x1b[0m";

/// Labels lines.
#[derive(Debug)]
pub(crate) struct Labels {
    shown: bool,
    colours: Colours,
    partial: HashMap<(usize, Stream), Partial>,
}

impl Labels {
    pub(crate) fn new(shown: bool, colours: Colours) -> Self {
        Self { shown, colours, partial: HashMap::new() }
    }

    /// Shows the lines that `bytes` complete.
    pub(crate) fn output(
        &mut self,
        host: usize,
        name: &str,
        stream: Stream,
        bytes: &[u8],
        screen: &mut Screen,
    ) -> Result<(), ShowError> {
        let label = self.label(name, stream);
        let partial = self.partial.entry((host, stream)).or_default();
        partial.feed(bytes, |lines| show(&label, stream, lines, screen))
    }

    /// Shows the last lines of a host, which ended without a newline.
    pub(crate) fn end(&mut self, host: usize, name: &str, screen: &mut Screen) -> Result<(), ShowError> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = self.partial.remove(&(host, stream)).map(|mut partial| partial.take()).unwrap_or_default();
            if !rest.is_empty() {
                show(&self.label(name, stream), stream, &rest, screen)?;
            }
        }
        Ok(())
    }

    fn label(&self, name: &str, stream: Stream) -> Vec<u8> {
        let (coloured, colour) = match stream {
            Stream::Stdout => (self.colours.stdout, STDOUT_COLOUR),
            Stream::Stderr => (self.colours.stderr, STDERR_COLOUR),
        };
        match (self.shown, coloured) {
            (false, _) => Vec::new(),
            (true, false) => format!("{name}: ").into_bytes(),
            (true, true) => format!("{colour}{name}: {NO_COLOUR}").into_bytes(),
        }
    }
}

fn show(label: &[u8], stream: Stream, lines: &[u8], screen: &mut Screen) -> Result<(), ShowError> {
    match stream {
        Stream::Stdout => screen.write_stdout(|out| append(label, lines, out)),
        Stream::Stderr => screen.write_stderr(|err| append(label, lines, err)),
    }
}

/// Appends each of the lines behind the label; the last gets a newline if it has none.
fn append(label: &[u8], lines: &[u8], to: &mut Vec<u8>) {
    let mut from = 0;
    for newline in memchr_iter(b'\n', lines) {
        to.extend_from_slice(label);
        to.extend_from_slice(&lines[from..=newline]);
        from = newline + 1;
    }
    if from < lines.len() {
        to.extend_from_slice(label);
        to.extend_from_slice(&lines[from..]);
        to.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_gets_the_label_and_the_last_a_newline() {
        let labelled = |lines: &[u8]| {
            let mut out = Vec::new();
            append(b"n: ", lines, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(labelled(b"a\nb\n"), "n: a\nn: b\n");
        assert_eq!(labelled(b"\n\nc"), "n: \nn: \nn: c\n");
        assert_eq!(labelled(b""), "");
    }
}
