/** Keeps one answer and is killed: `answers-child.ts FILE BOOT_ID`. */
import { openAnswers } from '../../src/service/sqlite-answers.ts';

const [file = '', bootId = ''] = process.argv.slice(2);
const { answers } = openAnswers({ file, bootId });
answers.keepAnswers([{ request: 'a', fingerprint: 'f', body: '{}', atMs: 10 }]);
process.kill(process.pid, 'SIGKILL');
