//! What is wrong with a template file.

use std::fmt;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// The line, from 1.
    pub line: u64,
    /// The field, as a path of names: `validity.maximum_days`; empty for the file.
    pub field: String,
    /// What is wrong, and what is allowed.
    pub what: String,
}

/// A template file that was refused.
///
/// A file that cannot be read has one problem; one that contradicts itself has
/// them all.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TemplateError {
    /// The file's name, as given.
    pub file: String,
    /// In the order of their lines; never empty.
    pub problems: Vec<Problem>,
}

impl std::error::Error for TemplateError {}

/// `FILE:LINE: FIELD: WHAT`, a line for each problem.
impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:{}: ", self.file, problem.line)?;
            if !problem.field.is_empty() {
                write!(f, "{}: ", problem.field)?;
            }
            f.write_str(&problem.what)?;
        }
        Ok(())
    }
}
