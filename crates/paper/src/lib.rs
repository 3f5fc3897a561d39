//! Paper: headings, texts and tables made into a PDF of A4 pages, black on white, that can be printed, searched and read aloud.
//!
//! ```text
//! Paper, or Book {chapters} ──fonts measured──> lines ──> pages with what stands on each ──> PDF (PDF/UA-1), the same bytes for the same paper
//! ```
//!
//! No I/O, no clock: data in, bytes out, and nothing of it in any file on the way. What stands on the paper is not decided here.
//!
//! Letters come from DejaVu Sans, which is part of the program: Latin with all accents, Greek, Cyrillic, Arabic, Hebrew, Armenian, Georgian.
//! A letter that it does not have is written as its number (`[U+674E]`), and is there as itself for who copies it or has it read aloud: no name is lost.

mod barcode;
mod draw;
mod fonts;
mod layout;
#[cfg(test)]
mod tests;

pub use barcode::{BARCODE_BYTES_MAX, code128};

/// Most pages of one paper. What is longer is refused: nobody reads it, and it holds the memory of all of its pages while it is made.
pub const PAGES_MAX: usize = 2000;

/// Most columns of a table.
pub const COLUMNS_MAX: usize = 12;

/// Longest text of one block or cell, in bytes: beyond, it ends with an ellipsis.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// What is to be put on paper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paper {
    /// The language that it is written in, such as `fr`: for who has it read aloud.
    pub language: String,
    /// What it is. Stands at its beginning, and in the reader's window.
    pub title: String,
    /// Whom it is about: stands at the top of every page, so that a page that went astray finds back. A few lines at most.
    pub about: String,
    /// Stands at the foot of every page.
    pub foot: String,
    /// How pages are counted: `{page}` and `{pages}` are replaced.
    pub counting: String,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// A part of a paper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Block {
    /// A heading: 1 for a chapter, 2 for what is below one, 3 below that. Never alone at the end of a page.
    Heading(u8, String),
    /// A paragraph.
    Text(String),
    /// A list with a dot before each.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A table with more to say of its columns and rows.
    Grid(Grid),
    /// Lines in a frame, the first of them bold: what must not be overlooked.
    Frame(Vec<String>),
}

/// Several papers in one: each chapter begins on a page of its own, and has its own lines at the top of its pages. Letters are larger than on a
/// [`Paper`]: it is read standing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Book {
    /// The language that it is written in.
    pub language: String,
    /// What it is, in the reader's window.
    pub title: String,
    /// Stands at the foot of every page.
    pub foot: String,
    /// How pages are counted, through all chapters: `{page}` and `{pages}` are replaced.
    pub counting: String,
    /// The chapters.
    pub chapters: Vec<Chapter>,
}

/// A chapter of a [`Book`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chapter {
    /// Its heading; none where it is empty.
    pub title: String,
    /// Whom it is about: stands at the top of each of its pages, the first line large. Some lines at most.
    pub about: Vec<String>,
    /// What the barcode at the top of its pages says ([`code128`]); what cannot be one is left out.
    pub code: Option<String>,
    /// What it says.
    pub blocks: Vec<Block>,
}

/// A table. What its columns are called is repeated on each page.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Grid {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows.
    pub rows: Vec<GridRow>,
    /// Whether there are lines between columns: for what is filled in by hand.
    pub boxed: bool,
}

/// A column of a [`Grid`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Column {
    /// What it is called.
    pub title: String,
    /// Its share of the width.
    pub share: u16,
    /// Whether its cells are bold.
    pub bold: bool,
}

/// A row of a [`Grid`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct GridRow {
    /// Its cells, as many as columns.
    pub cells: Vec<String>,
    /// Its least height, in points; 0 where its text decides.
    pub height: u16,
    /// The chapter, from 0, of which the last cell says the first page.
    pub page_of: Option<usize>,
}

/// A table. What its columns are called is repeated on each page.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    /// What each column is called, and its share of the width.
    pub columns: Vec<(String, u16)>,
    /// The cells of each row, as many as columns.
    pub rows: Vec<Vec<String>>,
}

/// Why there is no paper.
#[derive(Debug, thiserror::Error)]
pub enum PaperError {
    /// It is too long.
    #[error("this makes more than {pages_max} pages: ask for less, such as a shorter time")]
    TooLong {
        /// The most there may be.
        pages_max: usize,
    },
    /// A table has no column, too many, or a row of another length.
    #[error("a table on paper has 1 to {COLUMNS_MAX} columns and as many cells in each row")]
    Table,
    /// The fonts or the form of the file refused it: a defect of the program.
    #[error("the pdf could not be made: {0}")]
    Form(String),
}

impl Paper {
    /// The PDF, of at most [`PAGES_MAX`] pages.
    ///
    /// # Errors
    /// It is too long, or a table is none.
    pub fn to_pdf(&self) -> Result<Vec<u8>, PaperError> {
        self.to_pdf_within(PAGES_MAX)
    }

    /// The PDF, of at most so many pages.
    ///
    /// # Errors
    /// As [`Paper::to_pdf`].
    pub fn to_pdf_within(&self, pages_max: usize) -> Result<Vec<u8>, PaperError> {
        set(&layout::Work::of_paper(self), pages_max)
    }
}

impl Book {
    /// The PDF, of at most [`PAGES_MAX`] pages.
    ///
    /// # Errors
    /// It is too long, or a table is none.
    pub fn to_pdf(&self) -> Result<Vec<u8>, PaperError> {
        set(&layout::Work::of_book(self), PAGES_MAX)
    }
}

fn set(work: &layout::Work<'_>, pages_max: usize) -> Result<Vec<u8>, PaperError> {
    let fonts = fonts::Fonts::new().ok_or_else(|| PaperError::Form("its fonts cannot be read".to_owned()))?;
    let laid = layout::lay_out(work, &fonts, pages_max.min(PAGES_MAX))?;
    draw::draw(work, &laid, &fonts)
}
