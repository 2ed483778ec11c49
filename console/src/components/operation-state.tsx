// The state of an operation and of its steps, as words.
import type { OperationState, StepState } from '~/api/operations';
import { t } from '~/text';
import { State, type Tone } from './state';

const tones: Record<OperationState, Tone> = {
  queued: 'waiting', running: 'busy', verifying: 'busy', succeeded: 'ok', partly: 'warn', failed: 'bad', expired: 'bad', cancelled: 'idle', unconfirmed: 'warn',
};
const stepTones: Record<StepState, Tone> = {
  waiting: 'waiting', sent: 'busy', verifying: 'busy', done: 'ok', partly: 'warn', failed: 'bad', skipped: 'idle', unconfirmed: 'warn',
};

export function OperationStateWord({ state, strong }: { state: OperationState; strong?: boolean }) {
  return <State tone={tones[state]} strong={strong}>{t.operations.states[state]}</State>;
}

export function StepStateWord({ state }: { state: StepState }) {
  return <State tone={stepTones[state]}>{t.operations.stepStates[state]}</State>;
}
