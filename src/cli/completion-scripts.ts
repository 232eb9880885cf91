/**
 * Completion scripts for bash, zsh and fish, generated from the commander tree.
 *
 * Pure text: verbs, subcommands, options and their choices come from the tree, so a script can
 * never know a word that the program does not. Snapshot names are not completed: asking the catalog
 * on each key press would take its lock.
 */
import type { Command, Option } from 'commander';

export type Shell = 'bash' | 'zsh' | 'fish';

export const SHELLS = ['bash', 'zsh', 'fish'] as const satisfies readonly Shell[];

interface Node {
  /** The words after `ghostsnap`: [] for the program, ['pool', 'create'] for a subcommand. */
  readonly path: readonly string[];
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly OptionWords[];
  /** Words that the first argument may be. */
  readonly choices: readonly string[];
}

interface OptionWords {
  readonly flags: readonly string[];
  readonly summary: string;
  readonly choices: readonly string[];
  readonly takesValue: boolean;
}

export function completionScript(program: Command, shell: Shell): string {
  const nodes = collectNodes(program, []);
  if (shell === 'bash') return bashScript(nodes);
  return shell === 'zsh' ? zshScript(nodes) : fishScript(nodes);
}

function collectNodes(command: Command, path: readonly string[]): readonly Node[] {
  const help = command.createHelp();
  const node: Node = {
    path,
    commands: command.commands.map((child) => ({
      name: child.name(),
      summary: child.summary() || child.description(),
    })),
    options: help.visibleOptions(command).map(optionWords),
    choices: command.registeredArguments[0]?.argChoices ?? [],
  };
  const children = command.commands.map((child) => collectNodes(child, [...path, child.name()]));
  return [node, ...children.flat()];
}

function optionWords(option: Option): OptionWords {
  return {
    flags: [option.short, option.long].filter((flag) => typeof flag === 'string'),
    summary: option.description,
    choices: option.argChoices ?? [],
    takesValue: option.required || option.optional,
  };
}

/** Options that take a value, over the whole tree: the word after them is no verb. */
function valueFlags(nodes: readonly Node[]): readonly string[] {
  const flags = nodes.flatMap((node) => node.options.filter((one) => one.takesValue));
  return [...new Set(flags.flatMap((option) => option.flags))].toSorted();
}

function wordsOf(node: Node): string {
  const names = node.commands.map((child) => child.name);
  return [...names, ...node.choices, ...node.options.flatMap((option) => option.flags)].join(' ');
}

function bashScript(nodes: readonly Node[]): string {
  const cases = nodes.flatMap((node) => {
    const valued = node.options.filter((option) => option.choices.length > 0);
    const values = valued.flatMap((option) =>
      option.flags.map(
        (flag) => `    '${keyOf(node)}:${flag}') echo '${option.choices.join(' ')}' ;;`,
      ),
    );
    return [...values, `    '${keyOf(node)}:') echo '${wordsOf(node)}' ;;`];
  });
  const keys = nodes.filter((node) => node.path.length > 0).map((node) => `'${keyOf(node)}'`);
  return `# ghostsnap completion for bash: eval "$(ghostsnap completion bash)"
_ghostsnap_words() {
  case "$1:$2" in
${cases.join('\n')}
  esac
}
_ghostsnap() {
  local key='' word previous='' skip='' i
  local current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    previous="$word"
    if [[ -n $skip ]]; then skip=''; previous=''; continue; fi
    case "$word" in
      ${valueFlags(nodes).join('|')}) skip=1; continue ;;
      --) return ;;
      -*) continue ;;
    esac
    case "\${key:+$key }$word" in
      ${keys.join('|')}) key="\${key:+$key }$word" ;;
    esac
  done
  local words
  if [[ -n $skip ]]; then
    words="$(_ghostsnap_words "$key" "$previous")"
    if [[ -z $words ]]; then COMPREPLY=($(compgen -f -- "$current")); return; fi
  else
    words="$(_ghostsnap_words "$key" '')"
  fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _ghostsnap ghostsnap
`;
}

function keyOf(node: Node): string {
  return node.path.join(' ');
}

function zshScript(nodes: readonly Node[]): string {
  const functions = nodes.map((node) => {
    const options = node.options.map((option) => `    ${zshOption(option)} \\`);
    const name = ['_ghostsnap', ...node.path].join('_');
    if (node.commands.length === 0) {
      const first =
        node.choices.length > 0 ? `'1:word:(${node.choices.join(' ')})'` : "'*:path:_files'";
      return `${name}() {\n  _arguments -S \\\n${options.join('\n')}\n    ${first}\n}`;
    }
    const described = node.commands.map(
      (child) => `    ${zshQuote(`${child.name}:${child.summary}`)}`,
    );
    return `${name}() {
  local -a commands=(
${described.join('\n')}
  )
  local line state
  _arguments -S -C \\
${options.join('\n')}
    '1: :->command' '*:: :->rest'
  case $state in
    command) _describe command commands ;;
    rest) (( $+functions[${name}_$line[1]] )) && ${name}_$line[1] ;;
  esac
}`;
  });
  return `#compdef ghostsnap
# ghostsnap completion for zsh: eval "$(ghostsnap completion zsh)" after compinit
${functions.join('\n')}
compdef _ghostsnap ghostsnap
`;
}

function zshOption(option: OptionWords): string {
  const summary = option.summary.replaceAll(/[[\]:]/g, ' ');
  const value =
    option.choices.length > 0 ? `:value:(${option.choices.join(' ')})` : ':value:_files';
  const tail = `[${summary}]${option.takesValue ? value : ''}`;
  const [first = '', second] = option.flags;
  if (second === undefined) return zshQuote(`${first}${tail}`);
  return `${zshQuote(`(${first} ${second})`)}{${first},${second}}${zshQuote(tail)}`;
}

function zshQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fishScript(nodes: readonly Node[]): string {
  const lines = nodes.flatMap((node) => {
    const when = fishCondition(node);
    const commands = node.commands.map(
      (child) => `complete -c ghostsnap -f ${when} -a ${child.name} -d ${fishQuote(child.summary)}`,
    );
    const choices =
      node.choices.length === 0
        ? []
        : [`complete -c ghostsnap -f ${when} -a ${fishQuote(node.choices.join(' '))}`];
    const options = node.options.map(
      (option) => `complete -c ghostsnap ${when} ${fishOption(option)}`,
    );
    return [...commands, ...choices, ...options];
  });
  return `# ghostsnap completion for fish: ghostsnap completion fish | source
${fishAt(nodes)}
${lines.join('\n')}
`;
}

/** The program's own words before a verb, a verb's after it, a subcommand's after both. */
function fishCondition(node: Node): string {
  return `-n ${fishQuote(['__ghostsnap_at', ...node.path].join(' '))}`;
}

/** A word is a verb where a verb stands: "pool" may also be a snapshot's label, or a file. */
function fishAt(nodes: readonly Node[]): string {
  const keys = nodes.filter((node) => node.path.length > 0).map((node) => `'${keyOf(node)}'`);
  return `function __ghostsnap_at
  set -l key
  set -l skip
  for word in (commandline -opc)[2..]
    if set -q skip[1]
      set skip
      continue
    end
    switch $word
      case ${valueFlags(nodes).join(' ')}
        set skip 1
      case --
        return 1
      case '-*'
      case '*'
        contains -- (string join ' ' $key $word) ${keys.join(' ')}
        and set -a key $word
    end
  end
  test "$key" = "$argv"
end`;
}

function fishOption(option: OptionWords): string {
  const flags = option.flags.map((flag) =>
    flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
  );
  const value = option.choices.length > 0 ? ` -x -a ${fishQuote(option.choices.join(' '))}` : ' -r';
  return `${flags.join(' ')}${option.takesValue ? value : ''} -d ${fishQuote(option.summary)}`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
