//! What the compiler and clippy do not check.
//!
//! Each rule is a function from the files to complaints, with tests that show it complaining. A
//! warning is printed; an error makes the chore fail. A new rule begins as a warning and becomes an
//! error once the workspace keeps it.

mod arrows;
mod claims;
mod documents;
mod examples;
mod externals;
mod layers;
mod lengths;
mod orderings;
mod sections;
mod source;
mod unsafety;
mod words;

use std::fmt;

use clap::Args;

use crate::chore::{Result, output, program, root};
use source::Source;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print the table of unsafe code as docs/UNSAFE.md should have it, and check nothing
    #[arg(long)]
    unsafe_table: bool,
}

/// The files of the workspace, as git knows them.
#[derive(Debug, Default)]
pub(crate) struct Files {
    sources: Vec<Source>,
    /// Every text file with its path from the root, the sources among them.
    texts: Vec<(String, String)>,
}

/// One finding.
#[derive(Clone, Debug)]
pub(crate) struct Complaint {
    path: String,
    /// From 1; 0 if the whole file is meant.
    line: usize,
    message: String,
    warning: bool,
}

impl Complaint {
    fn error(path: &str, line: usize, message: impl Into<String>) -> Complaint {
        Complaint {
            path: path.to_owned(),
            line,
            message: message.into(),
            warning: false,
        }
    }

    fn warning(path: &str, line: usize, message: impl Into<String>) -> Complaint {
        Complaint {
            warning: true,
            ..Complaint::error(path, line, message)
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Complaint {
            path,
            line,
            message,
            warning,
        } = self;
        let kind = if *warning { "warning: " } else { "" };
        if *line == 0 {
            write!(formatter, "{path}: {kind}{message}")
        } else {
            write!(formatter, "{path}:{line}: {kind}{message}")
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let files = Files::read()?;
    if options.unsafe_table {
        print!("{}", unsafety::table(&files));
        return Ok(());
    }
    let metadata = output(program("cargo").args(["metadata", "--no-deps", "--format-version=1"]))?;
    let complaints: Vec<Complaint> = [
        arrows::check(&metadata)?,
        layers::check(&files),
        lengths::check(&files),
        unsafety::check(&files),
        orderings::check(&files),
        sections::check(&files),
        examples::check(&files),
        words::check(&files),
        documents::check(&files, root()),
        claims::check(&files),
        externals::check(&files, &metadata)?,
    ]
    .into_iter()
    .flatten()
    .collect();
    for complaint in &complaints {
        println!("{complaint}");
    }
    match complaints
        .iter()
        .filter(|complaint| !complaint.warning)
        .count()
    {
        0 => Ok(()),
        errors => Err(format!(
            "tidy: {errors} errors, {} warnings",
            complaints.len() - errors
        )),
    }
}

impl Files {
    fn read() -> Result<Files> {
        let listed = output(program("git").args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut files = Files::default();
        for path in listed.lines() {
            // A file that is deleted but not yet committed is listed; one that is no text is no concern.
            if let Ok(text) = std::fs::read_to_string(root().join(path)) {
                files.add(path, &text);
            }
        }
        Ok(files)
    }

    fn add(&mut self, path: &str, text: &str) {
        if path.ends_with(".rs") {
            self.sources.push(Source::new(path, text));
        }
        self.texts.push((path.to_owned(), text.to_owned()));
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.texts
            .iter()
            .find(|(name, _)| name == path)
            .map(|(_, text)| text.as_str())
    }

    /// The sources below a folder.
    fn below<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a Source> {
        self.sources
            .iter()
            .filter(move |source| source.path.starts_with(folder))
    }
}

/// For the tests of the rules: a workspace of these files.
#[cfg(test)]
fn files(contents: &[(&str, &str)]) -> Files {
    let mut files = Files::default();
    for (path, text) in contents {
        files.add(path, text);
    }
    files
}

/// For the tests of the rules: complaints as they would be printed.
#[cfg(test)]
fn printed(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().map(Complaint::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_file_and_line() {
        assert_eq!(
            Complaint::error("a.rs", 3, "bad").to_string(),
            "a.rs:3: bad"
        );
        assert_eq!(Complaint::error("a.rs", 0, "bad").to_string(), "a.rs: bad");
        assert_eq!(
            Complaint::warning("a.rs", 3, "bad").to_string(),
            "a.rs:3: warning: bad"
        );
    }
}
