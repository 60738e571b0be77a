/** One line of text that tells its text. */
import { TextInput, type TextInputProps } from "@mantine/core";

export interface FieldProps extends Omit<TextInputProps, "onChange" | "value"> {
  readonly value: string;
  readonly onText: (text: string) => void;
}

export const Field = ({ onText, ...props }: FieldProps) => (
  <TextInput {...props} onChange={({ currentTarget }) => onText(currentTarget.value)} />
);
