/**
 * SPIFFE ids: who a certificate says its bearer is.
 *
 * An id is `spiffe://<trust domain>/<path>`, in a small alphabet and with one spelling, so that comparing
 * text is comparing identities: no ports, queries, percent signs, empty or dotted segments. A
 * certificate that names two URIs names nobody.
 *
 * Source: the SPIFFE ID and X.509-SVID specifications, https://github.com/spiffe/spiffe/tree/main/standards
 */

export interface SpiffeId {
  readonly text: string;
  readonly trustDomain: string;
  readonly segments: readonly string[];
}

/** What a certificate says, as Node's X509Certificate has it. */
export interface CertificateNames {
  /** `URI:spiffe://a/b, DNS:c`; undefined without the extension. */
  readonly subjectAltName: string | undefined;
  /** It may sign certificates: no leaf, so nobody's identity. */
  readonly ca: boolean;
}

const ID_BYTES_MAX = 2048;
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/;
const SEGMENT = /^[A-Za-z0-9._-]+$/;
const SCHEME = 'spiffe://';

/** null for anything that the specification does not allow. */
export function parseSpiffeId(text: string): SpiffeId | null {
  if (text.length > ID_BYTES_MAX || !text.startsWith(SCHEME)) return null;
  const [trustDomain = '', ...segments] = text.slice(SCHEME.length).split('/');
  if (!TRUST_DOMAIN.test(trustDomain) || segments.length === 0) return null;
  return segments.every(isSegment) ? { text, trustDomain, segments } : null;
}

export function isSegment(text: string): boolean {
  return SEGMENT.test(text) && text !== '.' && text !== '..';
}

/** null when it names nobody, or more than one. */
export function spiffeIdOf(certificate: CertificateNames): SpiffeId | null {
  if (certificate.ca) return null;
  const uris = alternativeUris(certificate.subjectAltName ?? '');
  const [only] = uris ?? [];
  return uris?.length === 1 && only !== undefined ? parseSpiffeId(only) : null;
}

// Node puts a value that could be taken for a list in quotes; one that is quoted has characters that no
// SPIFFE id has. A text that is not wholly understood is nobody's.
const NAME =
  /(URI|DNS|IP Address|email|DirName|Registered ID|othername):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

function alternativeUris(text: string): readonly string[] | null {
  const uris: string[] = [];
  NAME.lastIndex = 0;
  let end = 0;
  for (let match = NAME.exec(text); match !== null; match = NAME.exec(text)) {
    end = NAME.lastIndex;
    if (match[1] === 'URI') uris.push(match[2] ?? '');
    if (end === text.length) break;
  }
  return end === text.length ? uris : null;
}
