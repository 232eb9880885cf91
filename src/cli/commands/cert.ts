/** `ghostsnap cert init|issue|revoke|crl`: a private certificate authority for the service. */
import path from 'node:path';
import { type Command, Option } from 'commander';
import { isThere } from '../../backend/is-there.ts';
import { GhostsnapError } from '../../core/errors.ts';
import { LOCK_WAIT_MS } from '../../core/limits.ts';
import { type CliContext, type CommandModule, jsonOption } from '../cli-context.ts';

interface CaOptions {
  readonly ca: string;
  readonly json?: true;
}

interface InitOptions extends CaOptions {
  readonly name: string;
  readonly days: number;
}

interface IssueOptions extends CaOptions {
  readonly server?: readonly string[];
  readonly client?: string;
  readonly out?: string;
  readonly days: number;
  readonly crlUrl?: string;
}

const EXAMPLES = `
A certificate says who its bearer is; the access policy of the service says what that
one may do. Keys are made for their owner only and never overwritten. With SPIRE or
cert-manager none of this is needed: see docs/security.md.

Examples:
  $ ghostsnap cert init --ca ./ca
  $ ghostsnap cert issue host-7 --ca ./ca --server host-7.example --server 10.0.0.7
  $ ghostsnap cert issue gateway --ca ./ca --client spiffe://a.example/gateway
  $ ghostsnap cert revoke ./ca/gateway.crt --ca ./ca
  $ ghostsnap cert crl --ca ./ca`;

/** An authority outlives what it issues; a certificate is short enough that renewing it is a habit. */
const CA_DAYS = 3650;
const CERTIFICATE_DAYS = 90;
const DAYS_MAX = 7300;

export const command: CommandModule = {
  register(program, context) {
    program.addHelpText('after', EXAMPLES).usage('COMMAND [ARGUMENT...]').helpCommand(false);
    caOption(program.command('init'))
      .description('Make an authority: its key, its certificate, an empty revocation list.')
      .option('--name <text>', 'say what it calls itself', 'ghostsnap')
      .option('--days <n>', 'say how long it is good', days, CA_DAYS)
      .action((options: InitOptions) => init(context, options));
    caOption(program.command('issue'))
      .description('Issue a certificate and a key for a service or for one of its clients.')
      .argument('<name>', 'name of the two files')
      .addOption(new Option('--server <host...>', 'names and addresses of a service'))
      .addOption(new Option('--client <id>', 'SPIFFE id of a client').conflicts('server'))
      .option('--out <dir>', 'put the files there; beside the authority without it')
      .option('--days <n>', 'say how long it is good', days, CERTIFICATE_DAYS)
      .option('--crl-url <url>', 'say in it where the revocation list is found')
      .action((name: string, options: IssueOptions) => issue(context, name, options));
    caOption(program.command('revoke'))
      .description('Revoke a certificate and sign a new revocation list.')
      .argument('<certificate>', 'its file, or its serial number')
      .action((which: string, options: CaOptions) => revoke(context, which, options));
    caOption(program.command('crl'))
      .description('Sign the revocation list anew: it is good for 90 days.')
      .action((options: CaOptions) => crl(context, options));
  },
};

function caOption(command: Command): Command {
  return jsonOption(command).requiredOption('--ca <dir>', 'the directory of the authority');
}

function days(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= DAYS_MAX) return value;
  throw new GhostsnapError('BAD_ARGUMENT', `Not a number of days: ${text}`, {
    hint: `Give one from 1 to ${DAYS_MAX}.`,
  });
}

async function init(context: CliContext, options: InitOptions): Promise<void> {
  const { initCa } = await import('../../api/tls/private-ca.ts');
  const directory = directoryOf(context, options.ca);
  const { name, days } = options;
  print(context, options, await initCa({ directory, name, days, nowMs: Date.now() }));
}

async function issue(context: CliContext, name: string, options: IssueOptions): Promise<void> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new GhostsnapError('BAD_ARGUMENT', `${name} is no name for two files.`, {
      hint: 'Use letters, digits, dots, hyphens and underscores.',
    });
  }
  const { issueCertificate } = await import('../../api/tls/private-ca.ts');
  const directory = directoryOf(context, options.ca);
  const request = {
    ...{ directory, name, days: options.days, nowMs: Date.now() },
    out: options.out === undefined ? directory : directoryOf(context, options.out),
    subject: await subjectOf(options),
    ...(options.crlUrl === undefined ? {} : { crlUrl: options.crlUrl }),
  };
  const issued = await alone(directory, 'issuing a certificate', () => issueCertificate(request));
  print(context, options, issued);
}

async function subjectOf({
  server,
  client,
}: IssueOptions): Promise<{ readonly server: readonly string[] } | { readonly client: string }> {
  if (server !== undefined && client === undefined) return { server };
  const { parseSpiffeId } = await import('../../api/access/spiffe-id.ts');
  if (client !== undefined && parseSpiffeId(client) !== null) return { client };
  const [message, hint] =
    client === undefined
      ? ['Neither a server nor a client is named.', 'Give --server HOST or --client SPIFFE-ID.']
      : [`${client} is no SPIFFE id.`, 'It has the form spiffe://trust.domain/path/segments.'];
  throw new GhostsnapError('BAD_ARGUMENT', message, { hint });
}

async function revoke(context: CliContext, which: string, options: CaOptions): Promise<void> {
  const { revokeCertificate } = await import('../../api/tls/private-ca.ts');
  const directory = directoryOf(context, options.ca);
  const isSerial = /^[0-9a-f]{32}$/i.test(which);
  const named = isSerial ? which : directoryOf(context, which);
  const request = { directory, which: named, nowMs: Date.now() };
  const revoked = await alone(directory, 'revoking', () => revokeCertificate(request));
  context.output.note('A running service reads the list again on SIGHUP.');
  print(context, options, revoked);
}

async function crl(context: CliContext, options: CaOptions): Promise<void> {
  const { signCrl } = await import('../../api/tls/private-ca.ts');
  const directory = directoryOf(context, options.ca);
  const request = { directory, nowMs: Date.now() };
  print(context, options, await alone(directory, 'signing the list', () => signCrl(request)));
}

/**
 * Alone with the authority: of two that add to its record at once one would write over what the other has
 * written, and a certificate that is not on record can't be revoked.
 */
async function alone<T>(directory: string, purpose: string, work: () => Promise<T>): Promise<T> {
  // Where there is no authority no directory is made for a lock: the work says what is missing.
  if (!isThere(path.join(directory, 'ca.key'))) return await work();
  const { createFileLocks } = await loadFileLocks();
  using locks = createFileLocks(directory);
  using _ = await locks.acquire('authority', { waitMs: LOCK_WAIT_MS, purpose });
  return await work();
}

/** Apart from `alone`: the compiler does not rewrite an import in a function with `using`. */
function loadFileLocks(): Promise<typeof import('../../locks/file-locks.ts')> {
  return import('../../locks/file-locks.ts');
}

function directoryOf(context: CliContext, typed: string): string {
  return path.resolve(context.environment.cwd, typed);
}

/** The files that were made, a line each. */
function print(
  { output }: CliContext,
  { json }: CaOptions,
  made: Readonly<Partial<Record<'certificate' | 'key' | 'crl' | 'serial', string>>>,
): void {
  if (json === true) {
    output.json(made);
    return;
  }
  for (const file of [made.certificate, made.key, made.crl]) {
    if (file !== undefined) output.line(file);
  }
}
