//! `phalanx report`: reads records and writes them in another form. What they say and how it is rendered is the business
//! of `phalanx_record`.

use std::fs::File;
use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ValueEnum;
use phalanx_record::Record;
use phalanx_record::date::Zone;
use phalanx_record::report::Layout;

use crate::exit;

/// What `phalanx report --help` says below the options.
const HELP: &str = "\
A record of a run that was stopped or killed in the middle can be read too: hosts whose end is not in it are \
unfinished. Lines that cannot be read are skipped, with a warning. What --json prints is a record without its first \
line.

The page (html) is one file that needs nothing else: a timeline with search, and the output of every host on a click.

Exit status: 0 rendered, whatever became of the hosts; 2 a file cannot be read, or is no record; 3 it cannot be written.";

/// What `phalanx report` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct ReportArgs {
    /// Tables, one JSON object, JUnit XML, or a page with a timeline [default: as the name after -o ends, else text]
    #[arg(long, value_enum, value_name = "FORM")]
    format: Option<Format>,

    /// Write into this file, which is there whole or not at all, instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Records, as phalanx run --record writes them; - is stdin
    #[arg(value_name = "RECORD", required = true)]
    records: Vec<PathBuf>,
}

/// The forms of a report: tables for people, one JSON object, JUnit XML for continuous integration, one page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
    Html,
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the record `{}`: {reason}", .path.display())]
pub(crate) struct RecordFileError {
    path: PathBuf,
    reason: String,
}

/// `phalanx report`, from what was typed to the exit status.
pub(crate) fn run(args: &ReportArgs) -> ExitCode {
    let records: Result<Vec<Record>, _> = args.records.iter().map(|path| read(path)).collect();
    let records = match records {
        Ok(records) => records,
        Err(error) => return exit::usage(&error),
    };
    let format = args.format.or_else(|| of_name(args.output.as_deref()?)).unwrap_or(Format::Text);
    let report = render(&records, format);
    let (to, written) = match &args.output {
        Some(path) => (path.display().to_string(), write(path, report.as_bytes())),
        None => ("stdout".to_owned(), io::stdout().lock().write_all(report.as_bytes())),
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            exit::internal(&format!("cannot write the report to {to}: {error}"))
        }
        _ => ExitCode::from(exit::OK),
    }
}

/// Reads a record, and says what of it could not be read.
pub(crate) fn read(path: &Path) -> Result<Record, RecordFileError> {
    let failed = |reason: String| RecordFileError { path: path.to_owned(), reason };
    let name = path.display().to_string();
    let record = if path.as_os_str() == "-" {
        phalanx_record::read("stdin", io::stdin().lock())
    } else {
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        phalanx_record::read(&name, BufReader::with_capacity(256 * 1024, file))
    };
    let record = record.map_err(|error| failed(error.to_string()))?;
    if let Some(skipped) = &record.skipped {
        log::warn!("{name}: {skipped}");
    }
    if record.steps.is_empty() {
        log::warn!("{name}: nothing is recorded in it");
    }
    Ok(record)
}

fn of_name(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "html" | "htm" => Some(Format::Html),
        "xml" => Some(Format::Junit),
        "json" => Some(Format::Json),
        _ => None,
    }
}

fn render(records: &[Record], format: Format) -> String {
    match format {
        Format::Text => phalanx_record::to_text(records, layout(), &Zone::system()),
        Format::Json => phalanx_record::to_json(records),
        Format::Junit => phalanx_record::to_junit(records),
        Format::Html => phalanx_record::to_html(records, &Zone::system()),
    }
}

fn layout() -> Layout {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(80);
    Layout::for_columns(columns)
}

/// Under another name beside it, then renamed: whoever looks finds the old report or the new one, never a half. What is
/// no file (a terminal, a pipe, `/dev/stdout`) is simply written to, and a link is followed.
fn write(path: &Path, report: &[u8]) -> io::Result<()> {
    let real = match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
        Ok(meta) if !meta.is_file() => return File::options().write(true).open(path)?.write_all(report),
        Ok(_) => path.canonicalize()?,
        Err(_) => path.to_owned(),
    };
    let directory = real.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    // As any new file: what the umask leaves of it.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    let mut file = builder.prefix(".phalanx-report-").permissions(mode).tempfile_in(directory)?;
    file.write_all(report)?;
    file.as_file().sync_all()?;
    file.persist(&real)?;
    Ok(())
}
