//! `host: line`, as lines come, stdout on stdout and stderr on stderr, never two lines mixed.

use std::collections::HashMap;

use memchr::memchr_iter;
use phalanx_config::style::Role;
use phalanx_process::event::Stream;

use super::OutputError;
use super::console::{Console, StreamStyles};
use super::line_buffer::LineBuffer;

/// Lines lines.
#[derive(Debug)]
pub(crate) struct Lines {
    shown: bool,
    styles: StreamStyles,
    buffers: HashMap<(usize, Stream), LineBuffer>,
    /// Per stream, the member whose line was cut and goes on, as long as no other member writes something.
    open: [Option<usize>; 2],
}

impl Lines {
    pub(crate) fn new(shown: bool, styles: StreamStyles) -> Self {
        Self { shown, styles, buffers: HashMap::new(), open: [None; 2] }
    }

    /// Shows the lines that `bytes` complete.
    pub(crate) fn output(
        &mut self,
        member: usize,
        name: &str,
        stream: Stream,
        bytes: &[u8],
        console: &mut Console,
    ) -> Result<(), OutputError> {
        let label = self.label(name, stream);
        let buffer = self.buffers.entry((member, stream)).or_default();
        let open = &mut self.open[stream as usize];
        buffer.feed(bytes, |lines| show(member, &label, open, stream, lines, console))
    }

    /// Ends the line that was cut, before something else is said on that stream.
    pub(crate) fn close_line(&mut self, stream: Stream, console: &mut Console) -> Result<(), OutputError> {
        match self.open[stream as usize].take() {
            None => Ok(()),
            Some(_) if stream == Stream::Stdout => console.stdout(b"\n"),
            Some(_) => console.stderr(b"\n"),
        }
    }

    /// Shows the last lines of a member, which ended without a newline.
    pub(crate) fn end(&mut self, member: usize, name: &str, console: &mut Console) -> Result<(), OutputError> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = self.buffers.remove(&(member, stream)).map(|mut buffer| buffer.take()).unwrap_or_default();
            if !rest.is_empty() {
                let label = self.label(name, stream);
                show(member, &label, &mut self.open[stream as usize], stream, &rest, console)?;
            }
            if self.open[stream as usize] == Some(member) {
                self.close_line(stream, console)?;
            }
        }
        Ok(())
    }

    fn label(&self, name: &str, stream: Stream) -> Vec<u8> {
        if !self.shown {
            return Vec::new();
        }
        let label = format!("{name}: ");
        match stream {
            Stream::Stdout => self.styles.stdout.paint(Role::StdoutLabel, label).to_string().into_bytes(),
            Stream::Stderr => self.styles.stderr.paint(Role::StderrLabel, label).to_string().into_bytes(),
        }
    }
}

fn show(
    member: usize,
    label: &[u8],
    open: &mut Option<usize>,
    stream: Stream,
    lines: &[u8],
    console: &mut Console,
) -> Result<(), OutputError> {
    match stream {
        Stream::Stdout => console.write_stdout(|out| append(member, label, open, lines, out)),
        Stream::Stderr => console.write_stderr(|err| append(member, label, open, lines, err)),
    }
}

/// Appends each of the lines behind the label. A last one without a newline stays open: the next line ends it,
/// unless it is its own continuation.
fn append(member: usize, label: &[u8], open: &mut Option<usize>, lines: &[u8], to: &mut Vec<u8>) {
    let mut goes_on = *open == Some(member);
    if open.is_some() && !goes_on {
        to.push(b'\n');
    }
    let mut from = 0;
    for end in memchr_iter(b'\n', lines).map(|newline| newline + 1).chain([lines.len()]) {
        if from < end {
            if !std::mem::take(&mut goes_on) {
                to.extend_from_slice(label);
            }
            to.extend_from_slice(&lines[from..end]);
        }
        from = end;
    }
    *open = (!lines.ends_with(b"\n")).then_some(member);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of pieces of hosts, one after the other.
    fn labelled(pieces: &[(usize, &str)]) -> (String, Option<usize>) {
        let (mut out, mut open) = (Vec::new(), None);
        for (host, piece) in pieces {
            append(*host, format!("n{host}: ").as_bytes(), &mut open, piece.as_bytes(), &mut out);
        }
        (String::from_utf8(out).unwrap(), open)
    }

    #[test]
    fn every_line_gets_the_label() {
        assert_eq!(labelled(&[(1, "a\nb\n")]), ("n1: a\nn1: b\n".to_owned(), None));
        assert_eq!(labelled(&[(1, "\n\n"), (2, "c\n")]).0, "n1: \nn1: \nn2: c\n");
    }

    #[test]
    fn a_line_that_was_cut_goes_on_unless_another_member_writes() {
        assert_eq!(labelled(&[(1, "aa"), (1, "bb"), (1, "c\nd\n")]).0, "n1: aabbc\nn1: d\n");
        assert_eq!(labelled(&[(1, "aa"), (2, "x\n"), (1, "bb")]), ("n1: aa\nn2: x\nn1: bb".to_owned(), Some(1)));
    }
}
