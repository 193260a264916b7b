/**
 * A body of a form with one image, and what every runtime answers: the names of the images, or the
 * code of a problem.
 */
export interface MultipartCase {
  readonly name: string;
  readonly type: string;
  readonly body: Buffer;
  readonly expected: readonly string[] | string;
}

const FORM = 'multipart/form-data; boundary=';
const FILE = 'Content-Disposition: form-data; name="image"; filename="a.png"';
const TOP = 'Content-Disposition: form-data; name="top"\r\n\r\n1';

/**
 * The cases over the bytes of an image; each asks for as many classes as the service gives without
 * `top`, or for one.
 */
export function multipartCases(image: Uint8Array): MultipartCase[] {
  const cases: MultipartCase[] = [];
  const add = (
    name: string,
    expected: readonly string[] | string,
    parts: readonly (string | Uint8Array)[],
    type = `${FORM}BB`,
  ) => {
    const bytes = parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part));
    cases.push({ name, expected, type, body: Buffer.concat(bytes) });
  };
  /** One part with these lines as its head, or several. */
  const heads = (name: string, expected: readonly string[] | string, ...lines: string[]) =>
    add(name, expected, [
      ...lines.flatMap((line) => [`--BB\r\n${line}\r\n\r\n`, image, '\r\n']),
      '--BB--\r\n',
    ]);
  const disposition = (name: string, expected: readonly string[] | string, parameters: string) =>
    heads(name, expected, `Content-Disposition: form-data; name=image; ${parameters}`);
  const END = '\r\n--BB--\r\n';

  add('as a browser', ['a.png'], [`--BB\r\n${FILE}\r\nContent-Type: image/png\r\n\r\n`, image, END]);
  add(
    'as .NET: bare names, filename*, a quoted boundary',
    ['a.png'],
    [
      "--BB\r\nContent-Type: image/png\r\nContent-Disposition: form-data; name=image; filename=a.png; filename*=utf-8''a.png\r\n\r\n",
      image,
      END,
    ],
    `${FORM}"BB"`,
  );
  disposition('bare names', ['a.png'], 'filename=a.png');
  heads('no spaces', ['a.png'], 'Content-Disposition:form-data;name="image";filename="a.png"');
  heads(
    'spaces and tabs',
    ['a.png'],
    'Content-Disposition: \tform-data ;\tname = "image" ; filename = a.png ',
  );
  heads('other case', ['a.png'], 'CONTENT-disposition: Form-Data; NAME=image; FileName="a.png"');
  add('a preamble', ['a.png'], [`A message.\r\n--BB\r\n${FILE}\r\n\r\n`, image, END]);
  add('a preamble of a line end', ['a.png'], [`\r\n--BB\r\n${FILE}\r\n\r\n`, image, END]);
  add('an epilogue', ['a.png'], [`--BB\r\n${FILE}\r\n\r\n`, image, END, 'The end.\r\n']);
  add(
    'an epilogue with parts',
    ['a.png'],
    [`--BB\r\n${FILE}\r\n\r\n`, image, END, `--BB\r\n${FILE}\r\n\r\n`, image, END],
  );
  add('no last line end', ['a.png'], [`--BB\r\n${FILE}\r\n\r\n`, image, '\r\n--BB--']);
  add('top too', ['a.png'], [`--BB\r\n${TOP}\r\n--BB\r\n${FILE}\r\n\r\n`, image, END]);
  heads('two files', ['a.png', 'b.png'], FILE, FILE.replace('a.png', 'b.png'));
  for (const boundary of ["'()+_,-./:=?", '----=_Part_1_2.3', 'a b', 'x*#', '-', 'a'.repeat(70)]) {
    const parts = [`--${boundary}\r\n${FILE}\r\n\r\n`, image, `\r\n--${boundary}--\r\n`];
    add(`the boundary ${boundary}`, ['a.png'], parts, `${FORM}"${boundary}"`);
  }
  add(
    'other parameters beside the boundary',
    ['a.png'],
    [`--BB\r\n${FILE}\r\n\r\n`, image, END],
    'Multipart/Form-Data;charset=UTF-8;BOUNDARY=BB',
  );

  disposition('an empty filename', [''], 'filename=""');
  disposition('UTF-8', ['写真 ö.png'], 'filename="写真 ö.png"');
  disposition('UTF-8 without quotes', ['ö.png'], 'filename=ö.png');
  disposition('a space without quotes', ['my photo.png'], 'filename=my photo.png');
  disposition('a semicolon', ['a;b.png'], 'filename="a;b.png"');
  disposition('a quote as browsers write it', ['a"b.png'], 'filename="a%22b.png"');
  disposition('a quote as others write it', ['a"b\\.png'], 'filename="a\\"b\\\\.png"');
  disposition('a path of Windows', ['C:\\x\\a.png'], 'filename="C:\\x\\a.png"');
  disposition('other escapes are part of a name', ['a%20b.png'], 'filename="a%20b.png"');
  disposition('filename* alone', ['ö.png'], "filename*=UTF-8''%C3%B6.png");
  disposition('filename* with a language', ['ö.png'], "filename*=utf-8'de'%c3%b6.png");
  disposition('filename* before filename', ['ö.png'], "filename*=UTF-8''%C3%B6.png; filename=o.png");
  disposition('filename* behind filename', ['ö.png'], "filename=o.png; filename*=UTF-8''%C3%B6.png");
  heads('an encoding that is none', ['a.png'], `Content-Transfer-Encoding: binary\r\n${FILE}`);

  disposition('filename* in another charset', 'FORM', "filename*=ISO-8859-1''%F6.png; filename=o.png");
  disposition('filename* with damaged escapes', 'FORM', "filename*=UTF-8''%F6.png; filename=o.png");
  disposition('filename* without a charset', 'FORM', 'filename*=o.png; filename=o.png');
  disposition('a filename in pieces', 'FORM', 'filename*0="a"; filename*1="b.png"');
  disposition('two filenames', 'FORM', 'filename=a.png; filename=b.png');
  disposition('an open quote', 'FORM', 'filename="a.png');
  disposition('text behind a quote', 'FORM', 'filename="a"b.png');
  add('a filename in Latin-1', 'FORM', [
    '--BB\r\nContent-Disposition: form-data; name=image; filename="',
    Uint8Array.of(0xf6),
    '.png"\r\n\r\n',
    image,
    END,
  ]);
  heads('no filename', 'FORM', 'Content-Disposition: form-data; name=image\r\nContent-Type: image/png');
  heads('no name', 'FORM', 'Content-Disposition: form-data; filename=a.png');
  heads('another name', 'FORM', 'Content-Disposition: form-data; name=photo; filename=a.png');
  heads('another disposition', 'FORM', 'Content-Disposition: attachment; name=image; filename=a.png');
  heads('no disposition', 'FORM', 'Content-Type: image/png');
  heads('two dispositions', 'FORM', `${FILE}\r\n${FILE}`);
  heads('a folded header', 'FORM', 'Content-Disposition: form-data; name=image;\r\n filename=a.png');
  heads('a header without a colon', 'FORM', `${FILE}\r\nContent-Type image/png`);
  heads('a long header', 'FORM', `${FILE}\r\nx: ${'y'.repeat(17_000)}`);
  heads('many headers', 'FORM', `${FILE}${'\r\nx: y'.repeat(120)}`);
  heads('base64', 'FORM', `${FILE}\r\nContent-Transfer-Encoding: base64`);
  heads('quoted-printable', 'FORM', `${FILE}\r\nContent-Transfer-Encoding: Quoted-Printable`);
  heads('gzip', 'FORM', `${FILE}\r\nContent-Encoding: gzip`);
  heads('nested parts', 'FORM', `${FILE}\r\nContent-Type: multipart/mixed; boundary=CC`);
  add('top twice', 'FORM', [`--BB\r\n${TOP}\r\n--BB\r\n${TOP}\r\n--BB\r\n${FILE}\r\n\r\n`, image, END]);
  add('a part without headers', 'FORM', [`--BB\r\n\r\nx\r\n--BB\r\n${FILE}\r\n\r\n`, image, END]);
  add('a part of headers only', 'FORM', [`--BB\r\n${FILE}\r\n\r\n--BB\r\n${FILE}\r\n\r\n`, image, END]);
  add('an empty part', 'FORM', [`--BB\r\n\r\n--BB\r\n${FILE}\r\n\r\n`, image, END]);
  add('a part of nothing', 'FORM', [`--BB\r\n--BB\r\n${FILE}\r\n\r\n`, image, END]);
  add('no last boundary', 'FORM', [`--BB\r\n${FILE}\r\n\r\n`, image]);
  add('cut in the headers of a second part', 'FORM', [
    `--BB\r\n${FILE}\r\n\r\n`,
    image,
    '\r\n--BB\r\nContent-Disposition: form-da',
  ]);
  add('cut in the last boundary', 'FORM', [`--BB\r\n${FILE}\r\n\r\n`, image, '\r\n--BB-']);
  add('text behind the last boundary', 'FORM', [`--BB\r\n${FILE}\r\n\r\n`, image, '\r\n--BB--x\r\n']);
  add('text behind a boundary', 'FORM', [`--BBx\r\n${FILE}\r\n\r\n`, image, END]);
  add('lines without CR', 'FORM', [`--BB\n${FILE}\n\n`, image, '\n--BB--\n']);
  add('one line without CR', 'FORM', [`--BB\n${FILE}\r\n\r\n`, image, END]);
  add('headers without CR', 'FORM', [`--BB\r\n${FILE}\n\n`, image, END]);
  add('another boundary', 'FORM', [`--CC\r\n${FILE}\r\n\r\n`, image, '\r\n--CC--\r\n']);
  add('no boundary', 'FORM', [`--BB\r\n${FILE}\r\n\r\n`, image, END], 'multipart/form-data');
  for (const boundary of ['', '"B\\"B"', 'a'.repeat(71), 'ö']) {
    add(`the boundary ${boundary}`, 'FORM', [`--${boundary}--`], `${FORM}${boundary}`);
  }
  add('two boundaries', 'CONTENT_TYPE', [`--BB\r\n${FILE}\r\n\r\n`, image, END], `${FORM}BB; boundary=CC`);
  add('a charset', 'CONTENT_TYPE', [`--BB\r\n${FILE}\r\n\r\n`, image, END], `${FORM}BB; charset=utf-16`);
  add(
    'multipart/mixed',
    'CONTENT_TYPE',
    [`--BB\r\n${FILE}\r\n\r\n`, image, END],
    'multipart/mixed; boundary=BB',
  );
  return cases;
}
