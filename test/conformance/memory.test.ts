/** The reference itself: model and suite must agree before they judge anybody else. */
import { describeBackend } from './backend-suite.ts';
import { makeMemoryStage } from './stage.ts';

describeBackend({ name: 'memory', make: makeMemoryStage, runs: 150, stepsMax: 60 });
